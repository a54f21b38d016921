/*! Contains Lit. Copyright 2017 Google LLC. SPDX-License-Identifier: BSD-3-Clause */
async function e(e,t){let{code:n,message:r,translation_domain:i,translation_key:a,translation_placeholders:o}=t.error??t;if(t===3||n===3)return e.localize(`component.dc_meter.config_panel.card.disconnected`);if(n===`unauthorized`)return e.localize(`component.dc_meter.config_panel.card.not_allowed`);if(i&&a){let t=(await e.loadBackendTranslation(`exceptions`,i))(`component.${i}.exceptions.${a}.message`,o);if(t)return t}return r??String(t)}var t=`dc_meter`,n=[`pdf`,`zip`,`csv`,`safe_xml`],r=e=>e.callWS({type:`${t}/meters`}),i=(e,n,r,i=null)=>e.callWS({type:`${t}/receipts`,device_id:n,limit:r,...i===null?{}:{cursor:i}}),a=(e,n,r)=>e.connection.subscribeMessage(r,{type:`${t}/subscribe_session`,device_id:n},{resubscribe:!1}),o=(e,t)=>e.callService(`switch`,`turn_on`,{},{entity_id:t},!1),s=(e,n,r)=>e.callService(t,`start_transaction`,{device_id:n,unless_running:!0,...r},void 0,!1);async function c(e,n,r){let{response:i}=await e.callService(t,`stop_transaction`,{device_id:n,...r?{transaction_id:r}:{}},void 0,!1,!0);return i}async function l(e,n,r,i){let{response:a}=await e.callService(t,`export_receipts`,{device_id:n,format:r,...i?{transaction_id:i}:{}},void 0,!1,!0),{url:o,file_name:s}=a,c=document.createElement(`a`);c.href=e.hassUrl(o),c.download=s,c.target=`_blank`,c.rel=`noreferrer`,document.body.append(c),c.click(),c.remove()}var u=`dc-meter`,ee=`mdi:ev-station`;async function te(e){let{resources:n}=await e.callWS({type:`frontend/get_translations`,language:e.language,category:`config_panel`,integration:t});return e=>n[`component.dc_meter.config_panel.dashboard.${e}`]??``}var ne=class extends HTMLElement{static{this.noEditor=!0}static{this.registryDependencies=[`devices`,`entities`]}static async getCreateSuggestions(e){return{title:(await te(e))(`title`),icon:ee}}static async generate(t,n){let i=await te(n),a;try{a=await r(n)}catch(t){throw Error(await e(n,t))}let o=se(t.card),s=a.map(e=>oe(e,n,i,o));return s.length===1?{views:s}:{views:[a.length?ie(a,n,i,o):re(n,i),...s]}}},re=(e,n)=>de(n(`title`),`overview`,[e.user?.is_admin?d(p({type:`markdown`,content:n(`empty`)}),{type:`button`,name:n(`add`),icon:`mdi:plus`,grid_options:{columns:12,rows:2},tap_action:{action:`navigate`,navigation_path:`/config/integrations/dashboard/add?domain=${t}`}}):d(p({type:`markdown`,content:n(`no_access`)}))]);function ie(e,t,n,r){let i=e.flatMap(e=>ae(e,t).filter(({key:e})=>e===`energy_import`).map(({entity:t})=>({entity:t,name:e.name})));return de(n(`title`),`overview`,[...e.map(e=>d(r(e,3))),...ce(i,n).map(e=>({...e,column_span:2}))])}var ae=(e,{entities:t})=>Object.entries(e.entities).flatMap(([e,n])=>{let r=n&&t[n];return r&&!r.hidden?[{key:e,entity:n,category:r.entity_category}]:[]});function oe(e,t,n,r){let i=ae(e,t),a=(...e)=>e.flatMap(e=>i.filter(({key:t})=>t===e)),o=e=>e.map(({entity:e})=>({entity:e,name:{type:`entity`}})),s=a(`power`),c=a(`energy_import`,`energy_export`).filter(({key:e,entity:n})=>e===`energy_import`||Number(t.states[n]?.state)),l=i.filter(({key:e,category:t})=>t&&e!==`public_key`);return de(e.name,e.serial_number,[d(r(e,5)),...f(ue(n(`now`),`mdi:gauge`),[...o(a(`voltage`,`current`,`energy_import`,`energy_export`)).map(e=>({type:`tile`,...e})),...le({type:`history-graph`,hours_to_show:3,entities:o(s)})]),...ce(o(c),n),...f(ue(n(`about`),`mdi:information-outline`,`/config/devices/device/${e.device_id}`),le({type:`entities`,entities:o(l)}))])}var se=(e={})=>(t,n)=>p({type:`custom:dc-meter-card`,receipts:n,...e,device_id:t.device_id}),ce=(e,t)=>f(ue(t(`energy`),`mdi:lightning-bolt`),[{title:t(`per_day`),period:`day`,days_to_show:30},{title:t(`per_month`),period:`month`,days_to_show:365}].flatMap(t=>le({type:`statistics-graph`,chart_type:`bar`,stat_types:[`change`],hide_legend:e.length<2,entities:e,...t}))),d=(...e)=>({type:`grid`,cards:e}),f=(e,t)=>t.length?[d(e,...t)]:[],le=e=>e.entities.length?[p(e)]:[],p=e=>({grid_options:{columns:12},...e}),ue=(e,t,n)=>({type:`heading`,heading:e,icon:t,...n&&{tap_action:{action:`navigate`,navigation_path:n}}}),de=(e,t,n)=>({type:`sections`,title:e,path:t,max_columns:4,sections:n});customElements.define(`ll-strategy-dashboard-${u}`,ne),(window.customStrategies??=[]).push({type:u,strategyType:`dashboard`,name:`DC Charging Meter`,description:`All charging meters: start and stop, live values, energy and receipts`,documentationURL:`https://github.com/dc-meter/dc-meter#dashboard`});var m=globalThis,h=m.ShadowRoot&&(m.ShadyCSS===void 0||m.ShadyCSS.nativeShadow)&&`adoptedStyleSheets`in Document.prototype&&`replace`in CSSStyleSheet.prototype,fe=Symbol(),pe=new WeakMap,me=class{constructor(e,t,n){if(this._$cssResult$=!0,n!==fe)throw Error("CSSResult is not constructable. Use `unsafeCSS` or `css` instead.");this.cssText=e,this.t=t}get styleSheet(){let e=this.o,t=this.t;if(h&&e===void 0){let n=t!==void 0&&t.length===1;n&&(e=pe.get(t)),e===void 0&&((this.o=e=new CSSStyleSheet).replaceSync(this.cssText),n&&pe.set(t,e))}return e}toString(){return this.cssText}},he=e=>new me(typeof e==`string`?e:e+``,void 0,fe),g=(e,...t)=>new me(e.length===1?e[0]:t.reduce((t,n,r)=>t+(e=>{if(!0===e._$cssResult$)return e.cssText;if(typeof e==`number`)return e;throw Error(`Value passed to 'css' function must be a 'css' function result: `+e+`. Use 'unsafeCSS' to pass non-literal values, but take care to ensure page security.`)})(n)+e[r+1],e[0]),e,fe),ge=(e,t)=>{if(h)e.adoptedStyleSheets=t.map(e=>e instanceof CSSStyleSheet?e:e.styleSheet);else for(let n of t){let t=document.createElement(`style`),r=m.litNonce;r!==void 0&&t.setAttribute(`nonce`,r),t.textContent=n.cssText,e.appendChild(t)}},_e=h?e=>e:e=>e instanceof CSSStyleSheet?(e=>{let t=``;for(let n of e.cssRules)t+=n.cssText;return he(t)})(e):e,{is:ve,defineProperty:ye,getOwnPropertyDescriptor:be,getOwnPropertyNames:xe,getOwnPropertySymbols:Se,getPrototypeOf:Ce}=Object,_=globalThis,we=_.trustedTypes,Te=we?we.emptyScript:``,Ee=_.reactiveElementPolyfillSupport,v=(e,t)=>e,y={toAttribute(e,t){switch(t){case Boolean:e=e?Te:null;break;case Object:case Array:e=e==null?e:JSON.stringify(e)}return e},fromAttribute(e,t){let n=e;switch(t){case Boolean:n=e!==null;break;case Number:n=e===null?null:Number(e);break;case Object:case Array:try{n=JSON.parse(e)}catch{n=null}}return n}},b=(e,t)=>!ve(e,t),De={attribute:!0,type:String,converter:y,reflect:!1,useDefault:!1,hasChanged:b};Symbol.metadata??=Symbol(`metadata`),_.litPropertyMetadata??=new WeakMap;var x=class extends HTMLElement{static addInitializer(e){this._$Ei(),(this.l??=[]).push(e)}static get observedAttributes(){return this.finalize(),this._$Eh&&[...this._$Eh.keys()]}static createProperty(e,t=De){if(t.state&&(t.attribute=!1),this._$Ei(),this.prototype.hasOwnProperty(e)&&((t=Object.create(t)).wrapped=!0),this.elementProperties.set(e,t),!t.noAccessor){let n=Symbol(),r=this.getPropertyDescriptor(e,n,t);r!==void 0&&ye(this.prototype,e,r)}}static getPropertyDescriptor(e,t,n){let{get:r,set:i}=be(this.prototype,e)??{get(){return this[t]},set(e){this[t]=e}};return{get:r,set(t){let a=r?.call(this);i?.call(this,t),this.requestUpdate(e,a,n)},configurable:!0,enumerable:!0}}static getPropertyOptions(e){return this.elementProperties.get(e)??De}static _$Ei(){if(this.hasOwnProperty(v(`elementProperties`)))return;let e=Ce(this);e.finalize(),e.l!==void 0&&(this.l=[...e.l]),this.elementProperties=new Map(e.elementProperties)}static finalize(){if(this.hasOwnProperty(v(`finalized`)))return;if(this.finalized=!0,this._$Ei(),this.hasOwnProperty(v(`properties`))){let e=this.properties,t=[...xe(e),...Se(e)];for(let n of t)this.createProperty(n,e[n])}let e=this[Symbol.metadata];if(e!==null){let t=litPropertyMetadata.get(e);if(t!==void 0)for(let[e,n]of t)this.elementProperties.set(e,n)}this._$Eh=new Map;for(let[e,t]of this.elementProperties){let n=this._$Eu(e,t);n!==void 0&&this._$Eh.set(n,e)}this.elementStyles=this.finalizeStyles(this.styles)}static finalizeStyles(e){let t=[];if(Array.isArray(e)){let n=new Set(e.flat(1/0).reverse());for(let e of n)t.unshift(_e(e))}else e!==void 0&&t.push(_e(e));return t}static _$Eu(e,t){let n=t.attribute;return!1===n?void 0:typeof n==`string`?n:typeof e==`string`?e.toLowerCase():void 0}constructor(){super(),this._$Ep=void 0,this.isUpdatePending=!1,this.hasUpdated=!1,this._$Em=null,this._$Ev()}_$Ev(){this._$ES=new Promise(e=>this.enableUpdating=e),this._$AL=new Map,this._$E_(),this.requestUpdate(),this.constructor.l?.forEach(e=>e(this))}addController(e){(this._$EO??=new Set).add(e),this.renderRoot!==void 0&&this.isConnected&&e.hostConnected?.()}removeController(e){this._$EO?.delete(e)}_$E_(){let e=new Map,t=this.constructor.elementProperties;for(let n of t.keys())this.hasOwnProperty(n)&&(e.set(n,this[n]),delete this[n]);e.size>0&&(this._$Ep=e)}createRenderRoot(){let e=this.shadowRoot??this.attachShadow(this.constructor.shadowRootOptions);return ge(e,this.constructor.elementStyles),e}connectedCallback(){this.renderRoot??=this.createRenderRoot(),this.enableUpdating(!0),this._$EO?.forEach(e=>e.hostConnected?.())}enableUpdating(e){}disconnectedCallback(){this._$EO?.forEach(e=>e.hostDisconnected?.())}attributeChangedCallback(e,t,n){this._$AK(e,n)}_$ET(e,t){let n=this.constructor.elementProperties.get(e),r=this.constructor._$Eu(e,n);if(r!==void 0&&!0===n.reflect){let i=(n.converter?.toAttribute===void 0?y:n.converter).toAttribute(t,n.type);this._$Em=e,i==null?this.removeAttribute(r):this.setAttribute(r,i),this._$Em=null}}_$AK(e,t){let n=this.constructor,r=n._$Eh.get(e);if(r!==void 0&&this._$Em!==r){let e=n.getPropertyOptions(r),i=typeof e.converter==`function`?{fromAttribute:e.converter}:e.converter?.fromAttribute===void 0?y:e.converter;this._$Em=r;let a=i.fromAttribute(t,e.type);this[r]=a??this._$Ej?.get(r)??a,this._$Em=null}}requestUpdate(e,t,n,r=!1,i){if(e!==void 0){let a=this.constructor;if(!1===r&&(i=this[e]),n??=a.getPropertyOptions(e),!((n.hasChanged??b)(i,t)||n.useDefault&&n.reflect&&i===this._$Ej?.get(e)&&!this.hasAttribute(a._$Eu(e,n))))return;this.C(e,t,n)}!1===this.isUpdatePending&&(this._$ES=this._$EP())}C(e,t,{useDefault:n,reflect:r,wrapped:i},a){n&&!(this._$Ej??=new Map).has(e)&&(this._$Ej.set(e,a??t??this[e]),!0!==i||a!==void 0)||(this._$AL.has(e)||(this.hasUpdated||n||(t=void 0),this._$AL.set(e,t)),!0===r&&this._$Em!==e&&(this._$Eq??=new Set).add(e))}async _$EP(){this.isUpdatePending=!0;try{await this._$ES}catch(e){Promise.reject(e)}let e=this.scheduleUpdate();return e!=null&&await e,!this.isUpdatePending}scheduleUpdate(){return this.performUpdate()}performUpdate(){if(!this.isUpdatePending)return;if(!this.hasUpdated){if(this.renderRoot??=this.createRenderRoot(),this._$Ep){for(let[e,t]of this._$Ep)this[e]=t;this._$Ep=void 0}let e=this.constructor.elementProperties;if(e.size>0)for(let[t,n]of e){let{wrapped:e}=n,r=this[t];!0!==e||this._$AL.has(t)||r===void 0||this.C(t,void 0,n,r)}}let e=!1,t=this._$AL;try{e=this.shouldUpdate(t),e?(this.willUpdate(t),this._$EO?.forEach(e=>e.hostUpdate?.()),this.update(t)):this._$EM()}catch(t){throw e=!1,this._$EM(),t}e&&this._$AE(t)}willUpdate(e){}_$AE(e){this._$EO?.forEach(e=>e.hostUpdated?.()),this.hasUpdated||(this.hasUpdated=!0,this.firstUpdated(e)),this.updated(e)}_$EM(){this._$AL=new Map,this.isUpdatePending=!1}get updateComplete(){return this.getUpdateComplete()}getUpdateComplete(){return this._$ES}shouldUpdate(e){return!0}update(e){this._$Eq&&=this._$Eq.forEach(e=>this._$ET(e,this[e])),this._$EM()}updated(e){}firstUpdated(e){}};x.elementStyles=[],x.shadowRootOptions={mode:`open`},x[v(`elementProperties`)]=new Map,x[v(`finalized`)]=new Map,Ee?.({ReactiveElement:x}),(_.reactiveElementVersions??=[]).push(`2.1.2`);var Oe=globalThis,ke=e=>e,S=Oe.trustedTypes,Ae=S?S.createPolicy(`lit-html`,{createHTML:e=>e}):void 0,je=`$lit$`,C=`lit$${Math.random().toFixed(9).slice(2)}$`,Me=`?`+C,Ne=`<${Me}>`,w=document,T=()=>w.createComment(``),E=e=>e===null||typeof e!=`object`&&typeof e!=`function`,Pe=Array.isArray,Fe=e=>Pe(e)||typeof e?.[Symbol.iterator]==`function`,Ie=`[ 	
\f\r]`,D=/<(?:(!--|\/[^a-zA-Z])|(\/?[a-zA-Z][^>\s]*)|(\/?$))/g,Le=/-->/g,Re=/>/g,O=RegExp(`>|${Ie}(?:([^\\s"'>=/]+)(${Ie}*=${Ie}*(?:[^ \t\n\f\r"'\`<>=]|("|')|))|$)`,`g`),ze=/'/g,Be=/"/g,Ve=/^(?:script|style|textarea|title)$/i,He=e=>(t,...n)=>({_$litType$:e,strings:t,values:n}),k=He(1),Ue=He(2),A=Symbol.for(`lit-noChange`),j=Symbol.for(`lit-nothing`),We=new WeakMap,M=w.createTreeWalker(w,129);function Ge(e,t){if(!Pe(e)||!e.hasOwnProperty(`raw`))throw Error(`invalid template strings array`);return Ae===void 0?t:Ae.createHTML(t)}var Ke=(e,t)=>{let n=e.length-1,r=[],i,a=t===2?`<svg>`:t===3?`<math>`:``,o=D;for(let t=0;t<n;t++){let n=e[t],s,c,l=-1,u=0;for(;u<n.length&&(o.lastIndex=u,c=o.exec(n),c!==null);)u=o.lastIndex,o===D?c[1]===`!--`?o=Le:c[1]===void 0?c[2]===void 0?c[3]!==void 0&&(o=O):(Ve.test(c[2])&&(i=RegExp(`</`+c[2],`g`)),o=O):o=Re:o===O?c[0]===`>`?(o=i??D,l=-1):c[1]===void 0?l=-2:(l=o.lastIndex-c[2].length,s=c[1],o=c[3]===void 0?O:c[3]===`"`?Be:ze):o===Be||o===ze?o=O:o===Le||o===Re?o=D:(o=O,i=void 0);let ee=o===O&&e[t+1].startsWith(`/>`)?` `:``;a+=o===D?n+Ne:l>=0?(r.push(s),n.slice(0,l)+je+n.slice(l)+C+ee):n+C+(l===-2?t:ee)}return[Ge(e,a+(e[n]||`<?>`)+(t===2?`</svg>`:t===3?`</math>`:``)),r]},N=class e{constructor({strings:t,_$litType$:n},r){let i;this.parts=[];let a=0,o=0,s=t.length-1,c=this.parts,[l,u]=Ke(t,n);if(this.el=e.createElement(l,r),M.currentNode=this.el.content,n===2||n===3){let e=this.el.content.firstChild;e.replaceWith(...e.childNodes)}for(;(i=M.nextNode())!==null&&c.length<s;){if(i.nodeType===1){if(i.hasAttributes())for(let e of i.getAttributeNames())if(e.endsWith(je)){let t=u[o++],n=i.getAttribute(e).split(C),r=/([.?@])?(.*)/.exec(t);c.push({type:1,index:a,name:r[2],strings:n,ctor:r[1]===`.`?Ye:r[1]===`?`?Xe:r[1]===`@`?Ze:F}),i.removeAttribute(e)}else e.startsWith(C)&&(c.push({type:6,index:a}),i.removeAttribute(e));if(Ve.test(i.tagName)){let e=i.textContent.split(C),t=e.length-1;if(t>0){i.textContent=S?S.emptyScript:``;for(let n=0;n<t;n++)i.append(e[n],T()),M.nextNode(),c.push({type:2,index:++a});i.append(e[t],T())}}}else if(i.nodeType===8){if(i.data===Me)c.push({type:2,index:a});else{let e=-1;for(;(e=i.data.indexOf(C,e+1))!==-1;)c.push({type:7,index:a}),e+=C.length-1}}a++}}static createElement(e,t){let n=w.createElement(`template`);return n.innerHTML=e,n}};function P(e,t,n=e,r){if(t===A)return t;let i=r===void 0?n._$Cl:n._$Co?.[r],a=E(t)?void 0:t._$litDirective$;return i?.constructor!==a&&(i?._$AO?.(!1),a===void 0?i=void 0:(i=new a(e),i._$AT(e,n,r)),r===void 0?n._$Cl=i:(n._$Co??=[])[r]=i),i!==void 0&&(t=P(e,i._$AS(e,t.values),i,r)),t}var qe=class{constructor(e,t){this._$AV=[],this._$AN=void 0,this._$AD=e,this._$AM=t}get parentNode(){return this._$AM.parentNode}get _$AU(){return this._$AM._$AU}u(e){let{el:{content:t},parts:n}=this._$AD,r=(e?.creationScope??w).importNode(t,!0);M.currentNode=r;let i=M.nextNode(),a=0,o=0,s=n[0];for(;s!==void 0;){if(a===s.index){let t;s.type===2?t=new Je(i,i.nextSibling,this,e):s.type===1?t=new s.ctor(i,s.name,s.strings,this,e):s.type===6&&(t=new Qe(i,this,e)),this._$AV.push(t),s=n[++o]}a!==s?.index&&(i=M.nextNode(),a++)}return M.currentNode=w,r}p(e){let t=0;for(let n of this._$AV)n!==void 0&&(n.strings===void 0?n._$AI(e[t]):(n._$AI(e,n,t),t+=n.strings.length-2)),t++}},Je=class e{get _$AU(){return this._$AM?._$AU??this._$Cv}constructor(e,t,n,r){this.type=2,this._$AH=j,this._$AN=void 0,this._$AA=e,this._$AB=t,this._$AM=n,this.options=r,this._$Cv=r?.isConnected??!0}get parentNode(){let e=this._$AA.parentNode,t=this._$AM;return t!==void 0&&e?.nodeType===11&&(e=t.parentNode),e}get startNode(){return this._$AA}get endNode(){return this._$AB}_$AI(e,t=this){e=P(this,e,t),E(e)?e===j||e==null||e===``?(this._$AH!==j&&this._$AR(),this._$AH=j):e!==this._$AH&&e!==A&&this._(e):e._$litType$===void 0?e.nodeType===void 0?Fe(e)?this.k(e):this._(e):this.T(e):this.$(e)}O(e){return this._$AA.parentNode.insertBefore(e,this._$AB)}T(e){this._$AH!==e&&(this._$AR(),this._$AH=this.O(e))}_(e){this._$AH!==j&&E(this._$AH)?this._$AA.nextSibling.data=e:this.T(w.createTextNode(e)),this._$AH=e}$(e){let{values:t,_$litType$:n}=e,r=typeof n==`number`?this._$AC(e):(n.el===void 0&&(n.el=N.createElement(Ge(n.h,n.h[0]),this.options)),n);if(this._$AH?._$AD===r)this._$AH.p(t);else{let e=new qe(r,this),n=e.u(this.options);e.p(t),this.T(n),this._$AH=e}}_$AC(e){let t=We.get(e.strings);return t===void 0&&We.set(e.strings,t=new N(e)),t}k(t){Pe(this._$AH)||(this._$AH=[],this._$AR());let n=this._$AH,r,i=0;for(let a of t)i===n.length?n.push(r=new e(this.O(T()),this.O(T()),this,this.options)):r=n[i],r._$AI(a),i++;i<n.length&&(this._$AR(r&&r._$AB.nextSibling,i),n.length=i)}_$AR(e=this._$AA.nextSibling,t){for(this._$AP?.(!1,!0,t);e!==this._$AB;){let t=ke(e).nextSibling;ke(e).remove(),e=t}}setConnected(e){this._$AM===void 0&&(this._$Cv=e,this._$AP?.(e))}},F=class{get tagName(){return this.element.tagName}get _$AU(){return this._$AM._$AU}constructor(e,t,n,r,i){this.type=1,this._$AH=j,this._$AN=void 0,this.element=e,this.name=t,this._$AM=r,this.options=i,n.length>2||n[0]!==``||n[1]!==``?(this._$AH=Array(n.length-1).fill(new String),this.strings=n):this._$AH=j}_$AI(e,t=this,n,r){let i=this.strings,a=!1;if(i===void 0)e=P(this,e,t,0),a=!E(e)||e!==this._$AH&&e!==A,a&&(this._$AH=e);else{let r=e,o,s;for(e=i[0],o=0;o<i.length-1;o++)s=P(this,r[n+o],t,o),s===A&&(s=this._$AH[o]),a||=!E(s)||s!==this._$AH[o],s===j?e=j:e!==j&&(e+=(s??``)+i[o+1]),this._$AH[o]=s}a&&!r&&this.j(e)}j(e){e===j?this.element.removeAttribute(this.name):this.element.setAttribute(this.name,e??``)}},Ye=class extends F{constructor(){super(...arguments),this.type=3}j(e){this.element[this.name]=e===j?void 0:e}},Xe=class extends F{constructor(){super(...arguments),this.type=4}j(e){this.element.toggleAttribute(this.name,!!e&&e!==j)}},Ze=class extends F{constructor(e,t,n,r,i){super(e,t,n,r,i),this.type=5}_$AI(e,t=this){if((e=P(this,e,t,0)??j)===A)return;let n=this._$AH,r=e===j&&n!==j||e.capture!==n.capture||e.once!==n.once||e.passive!==n.passive,i=e!==j&&(n===j||r);r&&this.element.removeEventListener(this.name,this,n),i&&this.element.addEventListener(this.name,this,e),this._$AH=e}handleEvent(e){typeof this._$AH==`function`?this._$AH.call(this.options?.host??this.element,e):this._$AH.handleEvent(e)}},Qe=class{constructor(e,t,n){this.element=e,this.type=6,this._$AN=void 0,this._$AM=t,this.options=n}get _$AU(){return this._$AM._$AU}_$AI(e){P(this,e)}},$e=Oe.litHtmlPolyfillSupport;$e?.(N,Je),(Oe.litHtmlVersions??=[]).push(`3.3.3`);var et=(e,t,n)=>{let r=n?.renderBefore??t,i=r._$litPart$;if(i===void 0){let e=n?.renderBefore??null;r._$litPart$=i=new Je(t.insertBefore(T(),e),e,void 0,n??{})}return i._$AI(e),i},tt=globalThis,I=class extends x{constructor(){super(...arguments),this.renderOptions={host:this},this._$Do=void 0}createRenderRoot(){let e=super.createRenderRoot();return this.renderOptions.renderBefore??=e.firstChild,e}update(e){let t=this.render();this.hasUpdated||(this.renderOptions.isConnected=this.isConnected),super.update(e),this._$Do=et(t,this.renderRoot,this.renderOptions)}connectedCallback(){super.connectedCallback(),this._$Do?.setConnected(!0)}disconnectedCallback(){super.disconnectedCallback(),this._$Do?.setConnected(!1)}render(){return A}};I._$litElement$=!0,I.finalized=!0,tt.litElementHydrateSupport?.({LitElement:I});var nt=tt.litElementPolyfillSupport;nt?.({LitElement:I}),(tt.litElementVersions??=[]).push(`4.2.2`);var L=e=>(t,n)=>{n===void 0?customElements.define(e,t):n.addInitializer(()=>{customElements.define(e,t)})},rt={attribute:!0,type:String,converter:y,reflect:!1,hasChanged:b},it=(e=rt,t,n)=>{let{kind:r,metadata:i}=n,a=globalThis.litPropertyMetadata.get(i);if(a===void 0&&globalThis.litPropertyMetadata.set(i,a=new Map),r===`setter`&&((e=Object.create(e)).wrapped=!0),a.set(n.name,e),r===`accessor`){let{name:r}=n;return{set(n){let i=t.get.call(this);t.set.call(this,n),this.requestUpdate(r,i,e,!0,n)},init(t){return t!==void 0&&this.C(r,void 0,e,t),t}}}if(r===`setter`){let{name:r}=n;return function(n){let i=this[r];t.call(this,n),this.requestUpdate(r,i,e,!0,n)}}throw Error(`Unsupported decorator location: `+r)};function R(e){return(t,n)=>typeof n==`object`?it(e,t,n):((e,t,n)=>{let r=t.hasOwnProperty(n);return t.constructor.createProperty(n,e),r?Object.getOwnPropertyDescriptor(t,n):void 0})(e,t,n)}function z(e){return R({...e,state:!0,attribute:!1})}var B=(e,t,n)=>(n.configurable=!0,n.enumerable=!0,Reflect.decorate&&typeof t!=`object`&&Object.defineProperty(e,t,n),n);function V(e,t){return(n,r,i)=>{let a=t=>t.renderRoot?.querySelector(e)??null;if(t){let{get:e,set:t}=typeof r==`object`?n:i??(()=>{let e=Symbol();return{get(){return this[e]},set(t){this[e]=t}}})();return B(n,r,{get(){let n=e.call(this);return n===void 0&&(n=a(this),(n!==null||this.hasUpdated)&&t.call(this,n)),n}})}return B(n,r,{get(){return a(this)}})}}var at;function ot(e){return(t,n)=>B(t,n,{get(){return(this.renderRoot??(at??=document.createDocumentFragment())).querySelectorAll(e)}})}var st={alert:`M13 14H11V9H13M13 18H11V16H13M1 21H23L12 2L1 21Z`,"alert-circle":`M13,13H11V7H13M13,17H11V15H13M12,2A10,10 0 0,0 2,12A10,10 0 0,0 12,22A10,10 0 0,0 22,12A10,10 0 0,0 12,2Z`,"chevron-right":`M8.59,16.58L13.17,12L8.59,7.41L10,6L16,12L10,18L8.59,16.58Z`,close:`M19,6.41L17.59,5L12,10.59L6.41,5L5,6.41L10.59,12L5,17.59L6.41,19L12,13.41L17.59,19L19,17.59L13.41,12L19,6.41Z`,download:`M5,20H19V18H5M19,9H15V3H9V9H5L12,16L19,9Z`,"ev-station":`M19.77,7.23L19.78,7.22L16.06,3.5L15,4.56L17.11,6.67C16.17,7.03 15.5,7.93 15.5,9A2.5,2.5 0 0,0 18,11.5C18.36,11.5 18.69,11.42 19,11.29V18.5A1,1 0 0,1 18,19.5A1,1 0 0,1 17,18.5V14A2,2 0 0,0 15,12H14V5A2,2 0 0,0 12,3H6A2,2 0 0,0 4,5V21H14V13.5H15.5V18.5A2.5,2.5 0 0,0 18,21A2.5,2.5 0 0,0 20.5,18.5V9C20.5,8.31 20.22,7.68 19.77,7.23M18,10A1,1 0 0,1 17,9A1,1 0 0,1 18,8A1,1 0 0,1 19,9A1,1 0 0,1 18,10M8,18V13.5H6L10,6V11H12L8,18Z`,"help-circle":`M15.07,11.25L14.17,12.17C13.45,12.89 13,13.5 13,15H11V14.5C11,13.39 11.45,12.39 12.17,11.67L13.41,10.41C13.78,10.05 14,9.55 14,9C14,7.89 13.1,7 12,7A2,2 0 0,0 10,9H8A4,4 0 0,1 12,5A4,4 0 0,1 16,9C16,9.88 15.64,10.67 15.07,11.25M13,19H11V17H13M12,2A10,10 0 0,0 2,12A10,10 0 0,0 12,22A10,10 0 0,0 22,12C22,6.47 17.5,2 12,2Z`,play:`M8,5.14V19.14L19,12.14L8,5.14Z`,"shield-alert":`M12,1L3,5V11C3,16.55 6.84,21.74 12,23C17.16,21.74 21,16.55 21,11V5M11,7H13V13H11M11,15H13V17H11`,"shield-check":`M10,17L6,13L7.41,11.59L10,14.17L16.59,7.58L18,9M12,1L3,5V11C3,16.55 6.84,21.74 12,23C17.16,21.74 21,16.55 21,11V5L12,1Z`,"shield-off":`M1,4.27L2.28,3L20.5,21.22L19.23,22.5L17,20.25C15.57,21.57 13.87,22.54 12,23C6.84,21.74 3,16.55 3,11V6.27L1,4.27M12,1L21,5V11C21,13.28 20.35,15.5 19.23,17.41L5.65,3.82L12,1Z`,stop:`M18,18H6V6H18V18Z`},H=(e,t=``)=>k`
<svg class="icon ${t}" data-icon=${e} viewBox="0 0 24 24" aria-hidden="true">
<path d=${st[e]}></path>
</svg>
`,U=g`
:host {
--dc-space: var(--ha-space-4, 16px);
--dc-good: var(--success-color, #43a047);
--dc-warning: var(--warning-color, #ffa600);
--dc-bad: var(--error-color, #db4437);
color: var(--primary-text-color);
font-size: var(--ha-font-size-m, 14px);
line-height: var(--ha-line-height-normal, 1.5);
}
[hidden] {
display: none !important;
}
.icon {
inline-size: 24px;
block-size: 24px;
fill: currentcolor;
flex: none;
}
.icon.good,
.icon.warning,
.icon.bad {
color: var(--dc-kind);
}
.icon.neutral,
.secondary {
color: var(--secondary-text-color);
}
.numbers {
font-variant-numeric: tabular-nums;
}
button {
font: inherit;
color: inherit;
background: none;
border: none;
padding: 0;
margin: 0;
cursor: pointer;
text-align: start;
-webkit-tap-highlight-color: transparent;
}
:focus-visible {
outline: 2px solid var(--primary-color);
outline-offset: 2px;
}
.pill {
display: inline-flex;
align-items: center;
justify-content: center;
gap: 8px;
box-sizing: border-box;
min-block-size: 40px;
padding: 6px 16px;
border-radius: var(--ha-border-radius-pill, 9999px);
font-weight: var(--ha-font-weight-medium, 500);
--dc-pill: var(--ha-color-on-primary-normal, var(--primary-color));
/* The theme's own colours are too faint for words on their tints. */
color: color-mix(in srgb, var(--dc-pill) 60%, var(--primary-text-color));
background: var(--ha-color-fill-primary-normal-resting, rgba(var(--rgb-primary-color), 0.15));
transition: background-color 120ms ease-out;
}
.pill .icon {
inline-size: 20px;
block-size: 20px;
}
.pill.danger {
--dc-pill: var(--ha-color-on-danger-normal, var(--error-color));
background: var(--ha-color-fill-danger-normal-resting, rgba(var(--rgb-error-color), 0.15));
}
.pill.plain {
background: transparent;
}
@media (hover: hover) {
.pill:not([aria-disabled="true"]):hover {
background: var(--ha-color-fill-primary-normal-hover, rgba(var(--rgb-primary-color), 0.25));
}
.pill.danger:not([aria-disabled="true"]):hover {
background: var(--ha-color-fill-danger-normal-hover, rgba(var(--rgb-error-color), 0.25));
}
}
.pill[aria-disabled="true"] {
cursor: default;
color: var(--ha-color-on-disabled-normal, var(--disabled-text-color));
background: var(--ha-color-fill-disabled-normal-resting, transparent);
}
.good {
--dc-kind: var(--dc-good);
}
.warning {
--dc-kind: var(--dc-warning);
}
.bad {
--dc-kind: var(--dc-bad);
}
.note {
display: flex;
gap: 12px;
align-items: flex-start;
margin-block-end: 0;
padding: 12px;
border-radius: 12px;
background: color-mix(in srgb, var(--dc-kind, var(--primary-text-color)) 10%, transparent);
overflow-wrap: anywhere;
}
.note .icon {
inline-size: 20px;
block-size: 20px;
}
.unseen {
position: absolute;
inline-size: 1px;
block-size: 1px;
overflow: hidden;
clip-path: inset(50%);
white-space: nowrap;
}
@media (prefers-reduced-motion: reduce) {
* {
animation: none !important;
transition: none !important;
}
}
`;function W(e,t,n,r){var i=arguments.length,a=i<3?t:r===null?r=Object.getOwnPropertyDescriptor(t,n):r,o;if(typeof Reflect==`object`&&typeof Reflect.decorate==`function`)a=Reflect.decorate(e,t,n,r);else for(var s=e.length-1;s>=0;s--)(o=e[s])&&(a=(i<3?o(a):i>3?o(t,n,a):o(t,n))||a);return i>3&&a&&Object.defineProperty(t,n,a),a}var G=class extends I{constructor(...e){super(...e),this.heading=``,this.closeLabel=``,this.alert=!1}firstUpdated(){this.dialog.showModal()}close(){this.dialog.close()}render(){return k`
<dialog
aria-labelledby="heading"
role=${this.alert?`alertdialog`:j}
@close=${this.closed}
@click=${this.clicked}
>
<div class="frame">
<header>
${this.alert?j:k`<button class="round" aria-label=${this.closeLabel} @click=${this.close}>
${H(`close`)}
</button>`}
<h2 id="heading">${this.heading}</h2>
</header>
<div class="body"><slot></slot></div>
<footer><slot name="actions"></slot></footer>
</div>
</dialog>
`}clicked(e){!this.alert&&e.target===this.dialog&&this.close()}closed(){this.dispatchEvent(new Event(`closed`))}static{this.styles=[U,g`
dialog {
box-sizing: border-box;
inline-size: min(560px, calc(100vw - 32px));
max-block-size: calc(100dvh - 64px);
padding: 0;
border: none;
overflow: hidden;
border-radius: var(--ha-border-radius-3xl, 28px);
color: var(--primary-text-color);
background: var(--ha-dialog-surface-background, var(--card-background-color, #fff));
box-shadow: var(--dialog-box-shadow, 0 8px 32px rgba(0, 0, 0, 0.3));
}
:host([alert]) dialog {
inline-size: min(360px, calc(100vw - 32px));
}
dialog::backdrop {
background: var(--mdc-dialog-scrim-color, rgba(0, 0, 0, 0.5));
}
.frame {
display: flex;
flex-direction: column;
max-block-size: inherit;
}
header {
display: flex;
align-items: center;
gap: 8px;
padding: 16px 24px 8px 12px;
padding-inline: 12px 24px;
}
:host([alert]) header {
padding: 24px 24px 8px;
}
h2 {
margin: 0;
font-size: var(--ha-font-size-2xl, 24px);
font-weight: var(--ha-font-weight-normal, 400);
line-height: 1.25;
overflow-wrap: anywhere;
}
.round {
display: grid;
place-items: center;
flex: none;
inline-size: 48px;
block-size: 48px;
border-radius: 50%;
}
.body {
padding: 8px 24px;
overflow: auto;
overscroll-behavior: contain;
}
footer {
display: flex;
flex-wrap: wrap;
justify-content: flex-end;
gap: 8px;
padding: 12px 16px 16px;
}
@media (max-width: 450px) {
:host(:not([alert])) dialog {
inline-size: 100vw;
max-inline-size: none;
block-size: 100dvh;
max-block-size: none;
border-radius: 0;
padding-block: env(safe-area-inset-top) env(safe-area-inset-bottom);
}
:host(:not([alert])) .frame {
block-size: 100%;
}
:host(:not([alert])) .body {
flex: 1;
}
}
`]}};W([R()],G.prototype,`heading`,void 0),W([R()],G.prototype,`closeLabel`,void 0),W([R({type:Boolean,reflect:!0})],G.prototype,`alert`,void 0),W([V(`dialog`)],G.prototype,`dialog`,void 0),G=W([L(`dc-meter-dialog`)],G);var ct=20,lt=(e,t)=>t(`component.dc_meter.config_panel.editor.${e}`)||void 0,ut=()=>({schema:[{name:`device_id`,required:!0,selector:{device:{integration:t}}},{name:`name`,selector:{text:{}}},{name:`ask_user`,selector:{boolean:{}}},{name:`ask_tariff`,selector:{boolean:{}}},{name:`receipts`,default:3,selector:{number:{min:0,max:ct,mode:`box`}}}],computeLabel:({name:e},t)=>lt(e,t),computeHelper:({name:e},t)=>lt(`${e}_helper`,t)});function dt(e){let{device_id:t,receipts:n}=e;if(t!==void 0&&typeof t!=`string`)throw Error(`device_id must be the id of a device`);if(n!==void 0&&!(Number.isInteger(n)&&n>=0&&n<=ct))throw Error(`receipts must be a whole number from 0 to ${ct}`)}var ft={comma_decimal:[`en-US`],decimal_comma:[`de`],space_comma:[`fr`],quote_decimal:[`de-CH`],none:[`en-US`]};function pt(e){let t=new Map;return(n,r)=>{let i=JSON.stringify([n,r]),a=t.get(i)??new e(n,r);return t.set(i,a),a}}var mt=pt(Intl.NumberFormat),ht=pt(Intl.DateTimeFormat);function gt(e,t){return mt(e.number_format===`system`?void 0:ft[e.number_format]??e.language,{...t,useGrouping:e.number_format!==`none`})}function _t(e){let[,t=``,n=`0`,r=``]=/^(-?)(\d+)(?:\.(\d+))?$/.exec(String(e))??[],i=n.padStart(4,`0`);return`${t}${i.slice(0,-3)}.${i.slice(-3)}${r}`}function K(e,{locale:t}){if(e==null)return`—`;let n=_t(e);return`${gt(t,{minimumFractionDigits:n.length-n.indexOf(`.`)-1}).format(n)} kWh`}function q(e,t,{locale:n}){if(e==null)return`—`;let r={minimumFractionDigits:2,maximumFractionDigits:6};try{return gt(n,{...r,style:`currency`,currency:t??``}).format(e)}catch{return`${gt(n,r).format(e)} ${t??``}`.trim()}}function vt(e){let t=Math.max(0,Math.floor(e/1e3)),n=e=>String(e).padStart(2,`0`);return[Math.floor(t/3600),n(Math.floor(t/60)%60),n(t%60)].join(`:`)}function yt(e){switch(e){case`12`:return`h12`;case`24`:return`h23`;case`system`:return ht(void 0,{hour:`numeric`}).resolvedOptions().hourCycle;default:return}}function bt({locale:e,config:t},n){return ht(e.language,{...n,hourCycle:yt(e.time_format),...e.time_zone===`server`?{timeZone:t.time_zone}:{}})}function xt(e,t){let n=t.locale.date_format;if(!/^[DMY]{3}$/.test(n))return bt(t,{dateStyle:`medium`}).format(e);let r=bt(t,{year:`numeric`,month:`numeric`,day:`numeric`}).formatToParts(e),i=e=>r.find(t=>t.type===e)?.value??``,a={D:`day`,M:`month`,Y:`year`};return[...n].map(e=>i(a[e]??``)).join(i(`literal`))}function J(e,t,n=!1){if(!e)return`—`;let r=new Date(e),i=bt(t,{hour:`numeric`,minute:`2-digit`,...n?{second:`2-digit`}:{}});return`${xt(r,t)}, ${i.format(r)}`}var St={pdf:`PDF`,zip:`ZIP`,csv:`CSV`,safe_xml:`XML`},Y=class extends I{constructor(...e){super(...e),this.deviceId=``,this.formats=[],this.said=``,this.refused=``}render(){let{say:e}=this.voice;return k`
<div class="buttons" role="group" aria-label=${e(`download`)}>
${this.formats.map(t=>k`
<button
class="pill"
aria-label=${e(`download_as`,{format:St[t]})}
aria-disabled=${this.busy!==void 0}
@click=${()=>this.fetch(t)}
>
${H(`download`)}${St[t]}
</button>
`)}
</div>
<div class="unseen" role="status">${this.said}</div>
${this.refused?k`<p class="note bad" role="alert">${H(`alert-circle`,`bad`)}${this.refused}</p>`:j}
`}async fetch(t){if(this.busy)return;let{hass:n,say:r}=this.voice;this.busy=t,this.refused=this.said=``;try{await l(n,this.deviceId,t,this.transactionId),this.said=r(`downloaded`)}catch(t){this.refused=await e(n,t)}finally{this.busy=void 0}}static{this.styles=[U,g`
.buttons {
display: flex;
flex-wrap: wrap;
gap: 8px;
}
.note {
margin-block-start: 12px;
}
`]}};W([R({attribute:!1})],Y.prototype,`voice`,void 0),W([R()],Y.prototype,`deviceId`,void 0),W([R()],Y.prototype,`transactionId`,void 0),W([R({attribute:!1})],Y.prototype,`formats`,void 0),W([z()],Y.prototype,`busy`,void 0),W([z()],Y.prototype,`said`,void 0),W([z()],Y.prototype,`refused`,void 0),Y=W([L(`dc-meter-downloads`)],Y);function Ct({verdict:e},{name:t,say:n}){if(!e)return{icon:`shield-off`,kind:`neutral`,words:n(`not_signed`),reasons:[n(`not_signed_text`)]};let r=[t(`verdict_reason`,e.reason),...e.objections.map(e=>t(`objection`,e)),...e.caveats.map(e=>t(`caveat`,e))],i=t(`verdict`,e.verdict);switch(e.verdict){case`valid`:{let{billable:t}=e;return{icon:t?`shield-check`:`alert`,kind:t?`good`:`warning`,words:`${i} · ${n(t?`billable`:`not_billable`)}`,reasons:r}}case`invalid`:return{icon:`shield-alert`,kind:`bad`,words:i,reasons:r};default:return{icon:`help-circle`,kind:`warning`,words:i,reasons:r}}}var wt=({user:e,session:t})=>e||t.client_id;function Tt({session:e,verdict:t}){return t?.begins_at&&t.ends_at?{begin:t.begins_at,end:t.ends_at}:e.meter_started_at&&e.meter_ended_at?{begin:e.meter_started_at,end:e.meter_ended_at}:{begin:e.started_at,end:e.ended_at}}function Et(e,t,n){let{hass:r}=t,{session:i}=e,a=Ct(e,t),o=wt(e),{begin:s,end:c}=Tt(e);return k`
<li>
<button class="row" @click=${()=>n(e)}>
${H(a.icon,a.kind)}
<span class="what">
<span class="when">${J(c??s,r)}</span>
<span class="secondary">${a.words}${o?k` · <bdi>${o}</bdi>`:j}</span>
</span>
<span class="much numbers">
<bdi>${K(i.energy_import_wh,r)}</bdi>
${i.cost===null?j:k`<bdi class="secondary">${q(i.cost,i.currency,r)}</bdi>`}
</span>
${H(`chevron-right`,`neutral to`)}
</button>
</li>
`}var Dt=(e,t,n)=>k`
<ul class="receipts">
${e.map(e=>Et(e,t,n))}
</ul>
`,Ot=g`
.receipts {
list-style: none;
margin: 0;
padding: 0;
}
.receipts li {
/* What is out of sight costs no layout, however many there are. */
content-visibility: auto;
contain-intrinsic-size: auto 56px;
}
.row {
display: flex;
flex-wrap: wrap;
align-items: center;
gap: 4px 12px;
box-sizing: border-box;
inline-size: 100%;
min-block-size: 56px;
padding: 8px;
border-radius: 12px;
}
.row:focus-visible {
outline-offset: -2px;
}
.row .what,
.row .much {
display: flex;
flex-direction: column;
min-inline-size: 0;
}
.row .what {
/* In a narrow card the energy goes below. */
flex: 1 1 96px;
}
.row .what > * {
overflow: hidden;
text-overflow: ellipsis;
white-space: nowrap;
}
.row .much {
align-items: flex-end;
flex: none;
margin-inline-start: auto;
}
.row .secondary {
font-size: var(--ha-font-size-s, 12px);
}
.row .to {
inline-size: 20px;
margin-inline-start: -8px;
}
.row .to:dir(rtl) {
transform: scaleX(-1);
}
@media (hover: hover) {
.row:hover {
background: var(--ha-color-fill-neutral-quiet-hover, var(--secondary-background-color));
}
}
`,kt=50,X=class extends I{constructor(...e){super(...e),this.deviceId=``,this.receipts=[],this.cursor=null,this.busy=!1,this.refused=``}firstUpdated(){this.more()}render(){let{say:e}=this.voice;return k`
<dc-meter-dialog
.heading=${e(`all_receipts`)}
.closeLabel=${e(`close`)}
@closed=${this.closed}
>
${Dt(this.receipts,this.voice,e=>this.dispatchEvent(new CustomEvent(`choose`,{detail:e})))}
${this.refused?k`<p class="note bad" role="alert">${H(`alert-circle`,`bad`)}${this.refused}</p>`:j}
${this.cursor===null?j:k`<button class="pill more" aria-disabled=${this.busy} @click=${this.more}>
${e(`more_receipts`)}
</button>`}
<div class="unseen" role="status">${this.busy?e(`loading`):``}</div>
<dc-meter-downloads
slot="actions"
.voice=${this.voice}
.deviceId=${this.deviceId}
.formats=${n}
></dc-meter-downloads>
</dc-meter-dialog>
`}async more(){if(this.busy)return;let{hass:t}=this.voice,n=this.receipts.length;this.busy=!0,this.refused=``;try{let e=await i(t,this.deviceId,kt,this.cursor);this.receipts=[...this.receipts,...e.receipts],this.cursor=e.cursor}catch(n){this.refused=await e(t,n)}finally{this.busy=!1}let{activeElement:r}=this.renderRoot;await this.updateComplete,r&&!r.isConnected&&this.rows[n]?.focus()}closed(e){e.stopPropagation(),this.dispatchEvent(new Event(`closed`))}static{this.styles=[U,Ot,g`
.more {
inline-size: 100%;
margin-block: 8px;
}
`]}};W([R({attribute:!1})],X.prototype,`voice`,void 0),W([R()],X.prototype,`deviceId`,void 0),W([z()],X.prototype,`receipts`,void 0),W([z()],X.prototype,`cursor`,void 0),W([z()],X.prototype,`busy`,void 0),W([z()],X.prototype,`refused`,void 0),W([ot(`.row`)],X.prototype,`rows`,void 0),X=W([L(`dc-meter-history`)],X);var At=e=>e.trim()===``||!Number.isFinite(Number(e))?null:Number(e),jt=class{constructor(e,t){this.entityId=e,this.since=t,this.past=[],this.live=[]}get steps(){let e=this.live[0];return e?[...this.past.filter(t=>t.at<e.at),...this.live]:this.past}async fetch(e){try{let t=await e.callWS({type:`history/history_during_period`,start_time:new Date(this.since).toISOString(),entity_ids:[this.entityId],minimal_response:!0,no_attributes:!0,significant_changes_only:!1});this.past=(t[this.entityId]??[]).map(({s:e,lu:t})=>({at:t*1e3,power:At(e)}))}catch{}}take(e){let t=e?{at:Date.parse(e.last_updated),power:At(e.state)}:{at:Date.now(),power:null},n=this.live.at(-1);(!n||t.at>n.at&&t.power!==n.power)&&this.live.push(t)}},Z=class extends I{constructor(...e){super(...e),this.deviceId=``}render(){let{say:e}=this.voice,{receipt:t}=this,r=Ct(t,this.voice),i=t.signed_meter_value?.encoding_method===`OCMF`;return k`
<dc-meter-dialog .heading=${e(`receipt`)} .closeLabel=${e(`close`)} @closed=${this.closed}>
<div class="note ${r.kind}">
${H(r.icon,r.kind)}
<div>
<strong>${r.words}</strong>
${r.reasons.map(e=>k`<p>${e}</p>`)}
</div>
</div>
<dl>${this.facts()}</dl>
${this.signed()}
<dc-meter-downloads
slot="actions"
.voice=${this.voice}
.deviceId=${this.deviceId}
.transactionId=${t.transaction_id}
.formats=${n.filter(e=>i||e!==`safe_xml`)}
></dc-meter-downloads>
</dc-meter-dialog>
`}facts(){let{hass:e,name:t,say:n}=this.voice,{session:r,tariff_text:i,transaction_id:a,verdict:o}=this.receipt,{begin:s,end:c}=Tt(this.receipt);return[[n(`energy`),K(r.energy_import_wh,e)],[n(`energy_export`),r.energy_export_wh?K(r.energy_export_wh,e):``],[n(`cost`),r.cost===null?``:q(r.cost,r.currency,e)],[n(`price`),r.price_per_kwh===null?``:n(`per_kwh`,{price:q(r.price_per_kwh,r.currency,e)})],[n(`begin`),J(s,e,!0)],[n(`end`),J(c,e,!0)],[n(`duration`),s&&c?vt(Date.parse(c)-Date.parse(s)):``],[n(`user`),wt(this.receipt)],[n(`tariff_text`),i],[n(`charge_point`),r.evse_id],[n(`meter`),r.meter],[n(`transaction`),a],[n(`proved`),o?.covers.map(e=>t(`covered`,e)).join(`, `)],[n(`gaps`),r.gaps.map(e=>this.gap(e))],[n(`key`),o?.key_fingerprint]].filter(([,e])=>Array.isArray(e)?e.length:e).map(([e,t])=>k`<div><dt>${e}</dt><dd class="numbers"><bdi>${t}</bdi></dd></div>`)}gap({kind:e,begins_at:t,ends_at:n}){let{hass:r,name:i}=this.voice;return k`<div>
${J(t,r,!0)} – ${J(n,r,!0)}:
${i(`gap`,e)}
</div>`}signed(){let{start_signed_meter_value:e,signed_meter_value:t}=this.receipt,n=[e,t].filter(e=>e!==void 0);return n.length?k`
<details>
<summary>${this.voice.say(`signed_data`)}</summary>
${n.map(e=>k`<pre tabindex="0" dir="ltr">${e.signed_meter_data}</pre>`)}
</details>
`:j}closed(e){e.stopPropagation(),this.dispatchEvent(new Event(`closed`))}static{this.styles=[U,g`
.note p {
margin: 4px 0 0;
}
dl {
margin: 16px 0 0;
}
dl > div {
display: flex;
gap: 16px;
padding: 6px 0;
border-block-end: 1px solid var(--divider-color);
}
dl > div:last-child {
border: none;
}
dt {
flex: 0 0 38%;
color: var(--secondary-text-color);
}
dd {
flex: 1;
margin: 0;
min-inline-size: 0;
overflow-wrap: anywhere;
}
summary {
padding: 8px 0;
cursor: pointer;
}
pre {
margin: 0 0 8px;
padding: 12px;
border-radius: 12px;
background: var(--secondary-background-color);
font-size: var(--ha-font-size-s, 12px);
white-space: pre-wrap;
overflow-wrap: anywhere;
max-block-size: 160px;
overflow: auto;
}
`]}};W([R({attribute:!1})],Z.prototype,`voice`,void 0),W([R({attribute:!1})],Z.prototype,`receipt`,void 0),W([R()],Z.prototype,`deviceId`,void 0),Z=W([L(`dc-meter-receipt`)],Z);var Mt=6e4,Nt=60*Mt,Pt=(e,t,n)=>({entity_id:e,state:t,last_updated:new Date(0).toISOString(),attributes:n?{unit_of_measurement:n}:{}}),Ft={device_id:``,name:`DC Charging Meter`,model:null,serial_number:``,shows_tariff_text:!0,entities:{transaction:`switch.sample`,power:`sensor.sample_power`,energy_import:`sensor.sample_energy`}},It=Object.fromEntries([Pt(`switch.sample`,`on`),Pt(`sensor.sample_power`,`86.4`,`kW`),Pt(`sensor.sample_energy`,`4465.402`,`kWh`)].map(e=>[e.entity_id,e])),Lt=e=>({foreign:!1,transaction_id:``,started_at:new Date(e-23*Mt).toISOString(),user:``,energy_import_wh:38207,energy_export_wh:0,tariff_text:``,price_per_kwh:.39,currency:`EUR`,cost:14.9,gaps:[],warnings:[]}),Rt=e=>Array.from({length:93},(t,n)=>({at:e-23*Mt+n*15e3,power:n<6?n*24:146-Math.max(0,n-30)*.95})),zt=(e,t,n)=>({transaction_id:``,user:``,tariff_text:``,verdict:{verdict:`valid`,reason:`genuine`,billable:!0,objections:[],caveats:[],covers:[],begins_at:null,ends_at:null,energy_import_wh:t,energy_export_wh:0,key_fingerprint:null},session:{meter:``,evse_id:``,identification_data:``,client_id:``,tariff_text:``,started_at:null,ended_at:new Date(e).toISOString(),meter_started_at:null,meter_ended_at:null,energy_import_wh:t,energy_export_wh:0,price_per_kwh:.39,currency:`EUR`,cost:n,gaps:[],warnings:[]}}),Bt=e=>[zt(e-21*Nt,41874,16.33),zt(e-67*Nt,27310,10.65)];function Vt(e,[t,n],r=[],i=96){let a=(n-t)/i,o=Array(i).fill(0),s=Array(i).fill(!1),c=(e,r,c)=>{let l=Math.min(c,n);for(let n=Math.max(r,t);n<l;){let r=Math.min(i-1,Math.floor((n-t)/a)),c=r===i-1?l:Math.min(l,t+(r+1)*a);e===null?s[r]=!0:o[r]=(o[r]??0)+e*(c-n),n=Math.max(c,n+.001)}};if(!(a>0))return[];c(null,t,e[0]?.at??n),e.forEach(({at:t,power:r},i)=>c(r,t,e[i+1]?.at??n));for(let[e,t]of r)c(null,e,t);return o.map((e,t)=>s[t]?null:e/a)}function Ht(e){let t=e.filter(e=>e!==null),n=Math.max(0,...t),r=Math.min(0,...t),i=92/(n-r||1),a=e=>(96-(e-r)*i).toFixed(1),o=a(0),s=``,c=``,l=null;return e.forEach((t,n)=>{if(t===null){l=null;return}let r=l===null;r&&(l=n);let i=`${r?n:n+.5} ${a(t)}`;s+=`${r?`M`:`L`}${i}`,c+=r?`M${n} ${o}L${i}`:`L${i}`,e[n+1]??(s+=`H${n+1}`,c+=`H${n+1}V${o}Z`)}),Ue`
<path class="area" d=${c}></path>
<path class="base" d=${`M0 ${o}H${e.length}`}></path>
<path class="line" d=${s}></path>
`}var Ut={identification_data:255,tariff_text:250},Q=class extends I{constructor(...e){super(...e),this.askUser=!1,this.askTariff=!1}firstUpdated(){this.dialog.updateComplete.then(()=>this.form.querySelector(`input`)?.focus())}close(){this.dialog.close()}render(){let{say:e}=this.voice;return k`
<dc-meter-dialog
.heading=${e(`start_title`)}
.closeLabel=${e(`cancel`)}
@closed=${this.closed}
>
<form @submit=${this.submit}>
${this.askUser?this.field(`identification_data`,e(`user`),e(`user_helper`)):j}
${this.askTariff?this.field(`tariff_text`,e(`tariff_text`),e(`tariff_helper`)):j}
<input type="submit" hidden />
</form>
<button slot="actions" class="pill plain" @click=${this.close}>
${e(`cancel`)}
</button>
<button slot="actions" class="pill" @click=${()=>this.form.requestSubmit()}>
${H(`play`)}${e(`start`)}
</button>
</dc-meter-dialog>
`}field(e,t,n){return k`
<label>
<span>${t}</span>
<input
name=${e}
maxlength=${Ut[e]}
autocomplete="off"
autocapitalize="off"
spellcheck="false"
aria-describedby="${e}-helper"
/>
</label>
<p class="secondary" id="${e}-helper">${n}</p>
`}submit(e){e.preventDefault();let t={};for(let[e,n]of new FormData(this.form)){let r=String(n).trim();r&&(t[e]=r)}this.close(),this.dispatchEvent(new CustomEvent(`start`,{detail:t}))}closed(e){e.stopPropagation(),this.dispatchEvent(new Event(`closed`))}static{this.styles=[U,g`
label {
display: block;
margin-block-start: 8px;
}
label span {
display: block;
margin-block-end: 4px;
font-weight: var(--ha-font-weight-medium, 500);
}
input {
box-sizing: border-box;
inline-size: 100%;
min-block-size: 48px;
padding: 8px 12px;
font: inherit;
font-size: 16px;
color: var(--primary-text-color);
background: var(--secondary-background-color);
border: 1px solid var(--outline-color, var(--secondary-text-color));
border-radius: 12px;
}
p {
margin: 4px 0 12px;
font-size: var(--ha-font-size-s, 12px);
}
`]}};W([R({attribute:!1})],Q.prototype,`voice`,void 0),W([R({type:Boolean})],Q.prototype,`askUser`,void 0),W([R({type:Boolean})],Q.prototype,`askTariff`,void 0),W([V(`form`)],Q.prototype,`form`,void 0),W([V(`dc-meter-dialog`)],Q.prototype,`dialog`,void 0),Q=W([L(`dc-meter-start`)],Q);function Wt(e){for(let n of[`config_panel`,`selector`])e.loadBackendTranslation(n,t)}var Gt=e=>({hass:e,say:(n,r)=>e.localize(`component.${t}.config_panel.card.${n}`,r),name:(t,n)=>e.localize(`component.dc_meter.selector.${t}.options.${n}`)||n}),Kt=1e3,qt=`hui-card-picker`,Jt=`Restart Home Assistant to finish the update of DC Charging Meter.`,$=class extends I{constructor(...e){super(...e),this.preview=!1,this.config={type:``},this.running=null,this.noReceipts=``,this.refused=``,this.news=``,this.outdated=!1,this.now=Date.now(),this.receiptsOf=``}static{this.getConfigForm=ut}static getStubConfig(e){let n=Object.values(e.entities).find(e=>e?.platform===t);return n?.device_id?{device_id:n.device_id}:{}}setConfig(e){dt(e),e.device_id!==this.config.device_id&&(this.receipts=void 0,this.receiptsOf=this.noReceipts=``),this.config=e}getCardSize(){return 5+(this.config.receipts??3)}getGridOptions(){return{columns:12,min_columns:6}}connectedCallback(){super.connectedCallback(),this.ticking=setInterval(()=>{this.running&&(this.now=Date.now())},Kt),this.hasUpdated&&this.follow()}disconnectedCallback(){super.disconnectedCallback(),clearInterval(this.ticking),this.unsubscribe(),this.open=this.chosen=void 0}get sample(){if(this.config.device_id)return!1;let e=this.getRootNode();return this.preview||e instanceof ShadowRoot&&e.host.localName===qt}get meter(){return this.sample?Ft:this.meters?.find(e=>e.device_id===this.config.device_id)}get voice(){return Gt(this.hass)}stateOf(e,t=this.hass){let n=this.meter?.entities[e];if(n)return this.sample?It[n]:t.states[n]}transaction(e=this.hass){return this.stateOf(`transaction`,e)??this.stateOf(`transaction_active`,e)}get transactionId(){let{running:e}=this;return e&&!e.foreign?e.transaction_id:void 0}get doing(){if(this.busy)return this.busy;if(!this.hass.connected)return`disconnected`;switch(this.transaction()?.state){case`on`:return`charging`;case`off`:return`ready`;default:return`unavailable`}}get missing(){if(!this.sample){if(!this.config.device_id)return`choose_meter`;if(this.outdated)return this.hass.config.state===`RUNNING`?`restart_needed`:`loading`;if(!this.meters)return`loading`;if(!this.meter)return this.config.device_id in this.hass.devices?`no_access`:`meter_removed`}}shouldUpdate(e){let t=e.get(`hass`);if(e.size>1||!e.has(`hass`)||!t)return!0;let{hass:n}=this;return t.connected!==n.connected||t.language!==n.language||t.locale!==n.locale||t.localize!==n.localize||t.user!==n.user||t.entities!==n.entities||t.devices!==n.devices||this.outdated&&t.config!==n.config||Object.values(this.meter?.entities??{}).some(e=>e&&t.states[e]!==n.states[e])}willUpdate(e){let t=e.get(`hass`);if(e.has(`hass`)){t?.language!==this.hass.language&&Wt(this.hass);let e=t&&!t.connected&&this.hass.connected;e&&this.subscribed&&(this.subscribed.lost=!0),(e||t?.entities!==this.hass.entities||t.devices!==this.hass.devices||this.outdated&&t.config!==this.hass.config)&&this.loadMeters(),t&&!t.connected&&(this.power=void 0),t&&this.transaction(t)!==this.transaction()&&(this.refused=``)}let{asked:n,doing:r}=this;n&&r!==n.doing&&(r===`ready`||r===`charging`)&&this.withdraw(),this.power?.take(this.hass.connected?this.stateOf(`power`):void 0)}updated(){this.follow()}async loadMeters(){try{this.meters=await r(this.hass),this.outdated=!1,this.subscribed?.lost&&(this.subscribed=void 0,this.receiptsOf=``)}catch(e){this.outdated=e.code===`unknown_command`,this.outdated&&(this.meters=void 0)}}follow(){if(!this.isConnected)return;let t=this.sample?void 0:this.meter?.device_id;if(this.subscribed?.deviceId!==t&&(this.subscribed&&this.unsubscribe(),t)){let n={deviceId:t,end:a(this.hass,t,e=>{this.subscribed===n&&this.took(e)})};this.subscribed=n,n.end.catch(async t=>{this.subscribed===n&&(this.took(null),this.refused=await e(this.hass,t))})}let n=t&&this.hass.user?.is_admin&&this.wantsReceipts?[t,this.wantsReceipts,this.stateOf(`transaction_event`)?.state,this.running===null].join():``;n!==this.receiptsOf&&(this.receiptsOf=n,n&&t&&this.loadReceipts(t))}unsubscribe(){let{subscribed:e}=this;e?.lost||e?.end.then(e=>e()).catch(()=>void 0),this.subscribed=void 0,this.running=null,this.power=void 0}took(e){e&&!this.running&&(this.news=``),this.running=e,this.now=Date.now(),this.open===`stop`&&this.transactionId!==this.asked?.transactionId&&this.withdraw();let t=e&&!e.foreign?e.started_at:null,n=this.meter?.entities.power;if(!t||!n){this.power=void 0;return}let r=Date.parse(t);if(this.power?.since===r&&this.power.entityId===n)return;let i=this.power=new jt(n,r);i.take(this.stateOf(`power`)),i.fetch(this.hass).then(()=>this.requestUpdate())}get wantsReceipts(){return this.config.receipts??3}async loadReceipts(t){let{receiptsOf:n}=this,{receipts:r}=this,a=``;try{({receipts:r}=await i(this.hass,t,this.wantsReceipts))}catch(t){a=await e(this.hass,t)}n===this.receiptsOf&&(this.receipts=r,this.noReceipts=a)}startClicked(){let{ask_user:e,ask_tariff:t}=this.config;e||t&&this.meter?.shows_tariff_text?this.ask(`start`):this.start({})}ask(e){this.open=e,this.asked={doing:this.doing,transactionId:this.transactionId}}withdraw(){this.renderRoot.querySelector(`dc-meter-dialog, dc-meter-start`)?.close()}start(e){return this.act(`starting`,async t=>{let n=t.entities.transaction;return Object.keys(e).length||!n?await s(this.hass,t.device_id,e):await o(this.hass,n),``})}stop(){let e=this.asked?.transactionId,{hass:t,name:n,say:r}=this.voice;return this.act(`stopping`,async i=>{let{session:a,verdict:o}=await c(t,i.device_id,e);return[r(`stopped`,{energy:K(a.energy_import_wh,t)}),a.cost===null?``:q(a.cost,a.currency,t),o?n(`verdict`,o.verdict):``].filter(Boolean).join(` · `)})}async act(t,n){let{meter:r}=this;if(!(this.busy||!r||this.preview)){this.busy=t,this.refused=this.news=``;try{this.news=await n(r)}catch(t){let n=await e(this.hass,t);t.translation_key===`no_receipt`?this.news=n:this.refused=n}finally{this.busy=void 0}}}render(){let{missing:e}=this,{say:t}=this.voice;return e===`loading`?k`<ha-card aria-busy="true"><div class="empty">${t(`loading`)}</div></ha-card>`:e?k`<ha-card>
<div class="empty">
${H(`ev-station`,`neutral`)}
<p>${t(e)||Jt}</p>
</div>
</ha-card>`:k`
<ha-card>
${this.header()} ${this.session()} ${this.notes()} ${this.button()}
${this.receiptsSection()}
<div class="unseen" role="status">${t(this.doing)}</div>
</ha-card>
${this.dialogs()}
`}header(){let{doing:e,running:t}=this,n=t&&!t.foreign?t.user:``;return k`
<div class="head ${e}">
<span class="badge">${H(`ev-station`)}</span>
<div class="title">
<h2><bdi>${this.config.name||this.meter?.name}</bdi></h2>
<span class="secondary">
${this.voice.say(e)}${n?k` · <bdi>${n}</bdi>`:j}
</span>
</div>
</div>
`}shown(e){let t=this.stateOf(e);return t&&this.hass.connected&&Number.isFinite(Number(t.state))?this.hass.formatEntityState(t):`—`}session(){let{hass:e,say:t}=this.voice,n=this.sample?Lt(this.now):this.running;if(!n||n.foreign)return this.facts([[t(`power`),this.shown(`power`)],[t(`meter_register`),this.shown(`energy_import`)]]);let r=this.doing!==`unavailable`&&this.doing!==`disconnected`,{started_at:i,energy_export_wh:a}=n,o=[[t(`energy`),K(r?n.energy_import_wh:null,e)],[t(`energy_export`),a&&r?K(a,e):``],[t(`duration`),i?vt(this.now-Date.parse(i)):`—`],[t(`cost`),n.price_per_kwh===null?``:q(r?n.cost:null,n.currency,e)]];return k`
<div class="power numbers">
<span class="unseen">${t(`power`)}</span>
<bdi>${this.shown(`power`)}</bdi>
</div>
${i?this.curve(Date.parse(i)):j} ${this.facts(o)}
`}facts(e){return k`<dl>
${e.filter(([,e])=>e).map(([e,t])=>k`<div>
<dt>${e}</dt>
<dd class="numbers"><bdi>${t}</bdi></dd>
</div>`)}
</dl>`}curve(e){let{now:t}=this,{hass:n,say:r}=this.voice,i=this.sample?Rt(t):this.power?.steps??[],a=this.running&&!this.running.foreign?this.running.gaps.filter(e=>e.kind!==`clock_unsynchronized`).map(e=>[Date.parse(e.begins_at),Date.parse(e.ends_at)]):[],o=Vt(i,[e,Math.max(t,e+Kt)],a),s=this.stateOf(`power`),c=Math.max(0,...o.filter(e=>e!==null));return k`
<svg
class="curve"
role="img"
aria-label=${r(`sparkline`,{power:s?n.formatEntityState({...s,state:c.toFixed(1)}):c.toFixed(0)})}
viewBox="0 0 ${96} 100"
preserveAspectRatio="none"
>
${Ht(o)}
</svg>
`}notes(){let{doing:e,running:t}=this,{name:n,say:r}=this.voice,i=[];if(e===`unavailable`&&i.push(r(`unavailable_text`)),t?.foreign)i.push(r(`foreign`));else if(t){i.push(...t.warnings.map(e=>n(`start_warning`,e)));let e=new Set(t.gaps.map(e=>e.kind));i.push(...[...e].map(e=>n(`gap`,e)))}return k`
${i.map(e=>k`<p class="note warning">${H(`alert`,`warning`)}<span>${e}</span></p>`)}
<div role="alert">
${this.refused?k`<p class="note bad">${H(`alert-circle`,`bad`)}<span>${this.refused}</span></p>`:j}
</div>
<div role="status">
${this.news?k`<p class="note">${this.news}</p>`:j}
</div>
`}button(){let{doing:e}=this,{say:t}=this.voice,n=e===`charging`||e===`stopping`||this.running!==null,r=(e===`charging`||e===`ready`)&&!this.preview&&!this.sample;return k`
<button
class="pill ${n?`danger`:``}"
aria-disabled=${!r}
@click=${()=>{r&&(n?this.ask(`stop`):this.startClicked())}}
>
${H(n?`stop`:`play`)}${t(n?`stop`:`start`)}
</button>
`}receiptsSection(){let{hass:e,say:t}=this.voice;if(!e.user?.is_admin||!this.wantsReceipts)return j;let n=this.sample?Bt(this.now).slice(0,this.wantsReceipts):this.receipts;return k`
<section>
<div class="section-head">
<h3>${t(`receipts`)}</h3>
${n?.length?k`<button
class="pill plain"
@click=${()=>{this.sample||(this.open=`history`)}}
>
${t(`all_receipts`)}
</button>`:j}
</div>
${n?.length?Dt(n,this.voice,e=>{this.sample||(this.chosen=e)}):this.noReceipts?j:k`<p class="secondary none">${t(n?`no_receipts`:`loading`)}</p>`}
${this.noReceipts?k`<p class="note bad" role="alert">
${H(`alert-circle`,`bad`)}${this.noReceipts}
</p>`:j}
</section>
`}dialogs(){let{voice:e}=this,{say:t}=e,n=this.meter?.device_id??``,r=()=>this.open=void 0;return k`
${this.open===`start`?k`<dc-meter-start
.voice=${e}
.askUser=${!!this.config.ask_user}
.askTariff=${!!(this.config.ask_tariff&&this.meter?.shows_tariff_text)}
@start=${e=>this.start(e.detail)}
@closed=${r}
></dc-meter-start>`:j}
${this.open===`stop`?k`<dc-meter-dialog alert .heading=${t(`stop_title`)} @closed=${r}>
<p>${t(`stop_text`)}</p>
<button slot="actions" class="pill plain" @click=${this.closeStop}>
${t(`cancel`)}
</button>
<button
slot="actions"
class="pill danger"
@click=${e=>{this.closeStop(e),this.stop()}}
>
${t(`stop`)}
</button>
</dc-meter-dialog>`:j}
${this.open===`history`?k`<dc-meter-history
.voice=${e}
.deviceId=${n}
@choose=${e=>this.chosen=e.detail}
@closed=${r}
></dc-meter-history>`:j}
${this.chosen?k`<dc-meter-receipt
.voice=${e}
.receipt=${this.chosen}
.deviceId=${n}
@closed=${()=>this.chosen=void 0}
></dc-meter-receipt>`:j}
`}closeStop(e){e.currentTarget.closest(`dc-meter-dialog`)?.close()}static{this.styles=[U,Ot,g`
:host {
display: block;
container-type: inline-size;
}
ha-card {
display: flex;
flex-direction: column;
box-sizing: border-box;
block-size: 100%;
padding: var(--dc-space);
overflow: hidden;
}
dl,
.note,
ha-card > .pill,
section {
margin-block-start: 12px;
}
.head {
display: flex;
align-items: center;
gap: 12px;
}
.badge {
display: grid;
place-items: center;
flex: none;
inline-size: 40px;
block-size: 40px;
border-radius: 50%;
color: var(--state-inactive-color, var(--secondary-text-color));
background: color-mix(in srgb, currentcolor 20%, transparent);
}
.charging .badge,
.starting .badge,
.stopping .badge {
color: var(--state-active-color, var(--primary-color));
}
.charging .badge {
animation: breathe 3s ease-in-out infinite;
}
@keyframes breathe {
50% {
background: color-mix(in srgb, currentcolor 36%, transparent);
}
}
.title {
flex: 1;
min-inline-size: 0;
}
h2,
h3 {
margin: 0;
font-size: inherit;
font-weight: var(--ha-font-weight-medium, 500);
}
h2,
.title .secondary {
overflow: hidden;
text-overflow: ellipsis;
white-space: nowrap;
}
.title .secondary {
display: block;
font-size: var(--ha-font-size-s, 12px);
}
.power {
margin-block-start: 8px;
font-size: var(--ha-font-size-3xl, 28px);
line-height: 1.25;
}
.curve {
display: block;
inline-size: 100%;
block-size: 64px;
color: var(--state-active-color, var(--primary-color));
}
.curve .line {
fill: none;
stroke: currentcolor;
stroke-width: 2;
stroke-linejoin: round;
vector-effect: non-scaling-stroke;
}
.curve .area {
fill: currentcolor;
opacity: 0.15;
}
.curve .base {
fill: none;
stroke: var(--divider-color);
vector-effect: non-scaling-stroke;
}
dl {
display: grid;
grid-template-columns: repeat(auto-fit, minmax(84px, 1fr));
gap: 8px 12px;
margin-block-end: 0;
}
dt {
font-size: var(--ha-font-size-s, 12px);
color: var(--secondary-text-color);
}
dd {
margin: 0;
font-weight: var(--ha-font-weight-medium, 500);
overflow-wrap: anywhere;
}
.section-head {
display: flex;
align-items: center;
justify-content: space-between;
border-block-start: 1px solid var(--divider-color);
padding-block-start: 8px;
min-block-size: 40px;
}
.section-head .pill {
margin-inline-end: -16px;
}
.receipts {
margin-inline: -8px;
}
.none {
margin: 0;
}
.empty {
display: flex;
flex-direction: column;
align-items: center;
gap: 8px;
padding: 24px;
text-align: center;
color: var(--secondary-text-color);
}
.empty p {
margin: 0;
}
`]}};W([R({attribute:!1})],$.prototype,`hass`,void 0),W([R({type:Boolean})],$.prototype,`preview`,void 0),W([z()],$.prototype,`config`,void 0),W([z()],$.prototype,`meters`,void 0),W([z()],$.prototype,`running`,void 0),W([z()],$.prototype,`receipts`,void 0),W([z()],$.prototype,`noReceipts`,void 0),W([z()],$.prototype,`busy`,void 0),W([z()],$.prototype,`open`,void 0),W([z()],$.prototype,`chosen`,void 0),W([z()],$.prototype,`refused`,void 0),W([z()],$.prototype,`news`,void 0),W([z()],$.prototype,`outdated`,void 0),W([z()],$.prototype,`now`,void 0),$=W([L(`dc-meter-card`)],$);var Yt=window;(Yt.customCards??=[]).push({type:`dc-meter-card`,name:`DC Charging Meter`,description:`Live power, cost and receipts of a charging meter, with start and stop`,preview:!0,documentationURL:`https://github.com/dc-meter/dc-meter/blob/main/docs/dashboards.md#the-card`,getEntitySuggestion({entities:e},t){let n=e[t];return n?.platform===`dc_meter`&&n.device_id?{config:{type:`custom:dc-meter-card`,device_id:n.device_id}}:null}});