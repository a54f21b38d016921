// The card of one meter: what it does, what the session comes to, start and stop, its receipts.
import { LitElement, type PropertyValues, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import "./dialog";
import type { Dialog } from "./dialog";
import { type Config, RECEIPTS, checkConfig, configForm } from "./editor";
import { UNKNOWN, duration, energy, money } from "./format";
import "./history";
import { type EntityState, type Hass, type Refusal, reasonOf } from "./home-assistant";
import { icon } from "./icons";
import { PowerHistory } from "./power-history";
import "./receipt-details";
import { receiptsList, receiptsStyles } from "./receipts-list";
import {
  SAMPLE_METER,
  SAMPLE_STATES,
  sampleReceipts,
  sampleSession,
  sampleSteps,
} from "./sample";
import {
  DOMAIN,
  type Meter,
  type Receipt,
  type Running,
  getMeters,
  getReceipts,
  start,
  startPlainly,
  stop,
  subscribeSession,
} from "./server";
import { BINS, type Span, type Step, means, sparkline } from "./sparkline";
import "./start-dialog";
import type { StartDialog } from "./start-dialog";
import { styles } from "./styles";
import { type Voice, loadWords, voiceOf } from "./words";

type Doing =
  | "loading"
  | "disconnected"
  | "unavailable"
  | "ready"
  | "charging"
  | "starting"
  | "stopping";

/** What it is, and its value; without one it is left out. */
type Fact = readonly [name: string, value: string | undefined];

const TICK_MS = 1000;
const PICKER = "hui-card-picker";

/** Said when Home Assistant does not know the card's words yet, either. */
const RESTART = "Restart Home Assistant to finish the update of DC Charging Meter.";

interface Subscription {
  deviceId: string;
  end: Promise<() => Promise<void>>;
  /** It was one of an earlier connection. */
  lost?: true;
}

/** Why there is nothing of a meter to show. */
type Missing = "choose_meter" | "meter_removed" | "no_access" | "restart_needed";

@customElement("dc-meter-card")
export class MeterCard extends LitElement {
  static getConfigForm = configForm;

  static getStubConfig(hass: Hass): Partial<Config> {
    const entity = Object.values(hass.entities).find((one) => one?.platform === DOMAIN);
    return entity?.device_id ? { device_id: entity.device_id } : {};
  }

  @property({ attribute: false }) hass!: Hass;
  /** Shown in the card picker or the editor: nothing is to be started from there. */
  @property({ type: Boolean }) preview = false;

  @state() private config: Config = { type: "" };
  @state() private meters: Meter[] | undefined;
  @state() private running: Running | null = null;
  @state() private receipts: Receipt[] | undefined;
  /** Why they could not be fetched. */
  @state() private noReceipts = "";
  @state() private busy: "starting" | "stopping" | undefined;
  @state() private open: "start" | "stop" | "history" | undefined;
  @state() private chosen: Receipt | undefined;
  @state() private refused = "";
  @state() private news = "";
  @state() private outdated = false;
  @state() private now = Date.now();

  private power: PowerHistory | undefined;
  private subscribed: Subscription | undefined;
  private ticking: ReturnType<typeof setInterval> | undefined;
  private receiptsOf = "";
  /** What went on when the last question was asked. */
  private asked: { doing: Doing; transactionId: string | undefined } | undefined;

  setConfig(config: Config): void {
    checkConfig(config);
    if (config.device_id !== this.config.device_id) {
      this.receipts = undefined;
      this.receiptsOf = this.noReceipts = "";
    }
    this.config = config;
  }

  getCardSize(): number {
    return 5 + (this.config.receipts ?? RECEIPTS);
  }

  getGridOptions() {
    return { columns: 12, min_columns: 6 };
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.ticking = setInterval(() => {
      if (this.running) this.now = Date.now();
    }, TICK_MS);
    if (this.hasUpdated) this.follow();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.ticking);
    this.unsubscribe();
    // Put back with its view, a dialog would be part of the page.
    this.open = this.chosen = undefined;
  }

  // What the card knows

  private get sample(): boolean {
    if (this.config.device_id) return false;
    const root = this.getRootNode();
    // The picker does not say that it shows a preview.
    return this.preview || (root instanceof ShadowRoot && root.host.localName === PICKER);
  }

  private get meter(): Meter | undefined {
    return this.sample
      ? SAMPLE_METER
      : this.meters?.find((meter) => meter.device_id === this.config.device_id);
  }

  private get voice(): Voice {
    return voiceOf(this.hass);
  }

  private stateOf(key: string, hass = this.hass): EntityState | undefined {
    const entityId = this.meter?.entities[key];
    if (!entityId) return undefined;
    return this.sample ? SAMPLE_STATES[entityId] : hass.states[entityId];
  }

  /** Whether a transaction runs; the switch may be disabled. */
  private transaction(hass = this.hass): EntityState | undefined {
    return this.stateOf("transaction", hass) ?? this.stateOf("transaction_active", hass);
  }

  /** Undefined also while one runs that nobody here started. */
  private get transactionId(): string | undefined {
    const { running } = this;
    return running && !running.foreign ? running.transaction_id : undefined;
  }

  private get doing(): Doing {
    if (this.busy) return this.busy;
    if (!this.hass.connected) return "disconnected";
    switch (this.transaction()?.state) {
      case "on":
        return "charging";
      case "off":
        return "ready";
      default:
        return "unavailable";
    }
  }

  private get missing(): Missing | "loading" | undefined {
    if (this.sample) return undefined;
    if (!this.config.device_id) return "choose_meter";
    if (this.outdated) return this.hass.config.state === "RUNNING" ? "restart_needed" : "loading";
    if (!this.meters) return "loading";
    if (this.meter) return undefined;
    return this.config.device_id in this.hass.devices ? "no_access" : "meter_removed";
  }

  // Following the meter

  protected override shouldUpdate(changed: PropertyValues<this>): boolean {
    const before = changed.get("hass") as Hass | undefined;
    if (changed.size > 1 || !changed.has("hass") || !before) return true;
    // Home Assistant hands over each change of anything in the house.
    const { hass } = this;
    return (
      before.connected !== hass.connected ||
      before.language !== hass.language ||
      before.locale !== hass.locale ||
      before.localize !== hass.localize ||
      before.user !== hass.user ||
      before.entities !== hass.entities ||
      before.devices !== hass.devices ||
      (this.outdated && before.config !== hass.config) ||
      Object.values(this.meter?.entities ?? {}).some(
        (entityId) => entityId && before.states[entityId] !== hass.states[entityId],
      )
    );
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    const before = changed.get("hass") as Hass | undefined;
    if (changed.has("hass")) {
      if (before?.language !== this.hass.language) loadWords(this.hass);
      const reconnected = before && !before.connected && this.hass.connected;
      if (reconnected && this.subscribed) this.subscribed.lost = true;
      // Names, entities and the meters themselves come and go with the registries. After a restart
      // the integration may come up last, which only the configuration tells.
      if (
        reconnected ||
        before?.entities !== this.hass.entities ||
        before.devices !== this.hass.devices ||
        (this.outdated && before.config !== this.hass.config)
      ) {
        void this.loadMeters();
      }
      // What was missed meanwhile is fetched with the session, which comes anew.
      if (before && !before.connected) this.power = undefined;
      // Whatever stood in the way, it has gone on.
      if (before && this.transaction(before) !== this.transaction()) this.refused = "";
    }
    const { asked, doing } = this;
    if (asked && doing !== asked.doing && (doing === "ready" || doing === "charging")) {
      this.withdraw();
    }
    this.power?.take(this.hass.connected ? this.stateOf("power") : undefined);
  }

  protected override updated(): void {
    this.follow();
  }

  private async loadMeters(): Promise<void> {
    try {
      this.meters = await getMeters(this.hass);
      this.outdated = false;
      // Not before the integration is there to be asked.
      if (this.subscribed?.lost) {
        this.subscribed = undefined;
        this.receiptsOf = "";
      }
    } catch (error) {
      this.outdated = (error as { code?: string }).code === "unknown_command";
      // Who does not know this command has forgotten the subscription, too.
      if (this.outdated) this.meters = undefined;
    }
  }

  /** Subscribe to the chosen meter's session, and fetch its receipts when there may be new ones. */
  private follow(): void {
    // Also what is taken off the page is updated, and nobody would end its subscription.
    if (!this.isConnected) return;
    const deviceId = this.sample ? undefined : this.meter?.device_id;
    if (this.subscribed?.deviceId !== deviceId) {
      if (this.subscribed) this.unsubscribe();
      if (deviceId) {
        const subscribed: Subscription = {
          deviceId,
          end: subscribeSession(this.hass, deviceId, (running) => {
            // What an earlier one still sends may be of another meter.
            if (this.subscribed === subscribed) this.took(running);
          }),
        };
        this.subscribed = subscribed;
        subscribed.end.catch(async (error: unknown) => {
          if (this.subscribed !== subscribed) return;
          // Asked for again with the next connection, not before; what ran may have ended by then.
          this.took(null);
          this.refused = await reasonOf(this.hass, error);
        });
      }
    }
    const receiptsOf =
      deviceId && this.hass.user?.is_admin && this.wantsReceipts
        ? [
            deviceId,
            this.wantsReceipts,
            this.stateOf("transaction_event")?.state,
            this.running === null,
          ].join()
        : "";
    if (receiptsOf !== this.receiptsOf) {
      this.receiptsOf = receiptsOf;
      if (receiptsOf && deviceId) void this.loadReceipts(deviceId);
    }
  }

  private unsubscribe(): void {
    const { subscribed } = this;
    // One that was lost has ended; in the new connection its number may be another's.
    if (!subscribed?.lost) subscribed?.end.then((end) => end()).catch(() => undefined);
    this.subscribed = undefined;
    this.running = null;
    this.power = undefined;
  }

  private took(running: Running | null): void {
    if (running && !this.running) this.news = "";
    this.running = running;
    this.now = Date.now();
    if (this.open === "stop" && this.transactionId !== this.asked?.transactionId) this.withdraw();
    const startedAt = running && !running.foreign ? running.started_at : null;
    const entityId = this.meter?.entities.power;
    if (!startedAt || !entityId) {
      this.power = undefined;
      return;
    }
    const since = Date.parse(startedAt);
    if (this.power?.since === since && this.power.entityId === entityId) return;
    const power = (this.power = new PowerHistory(entityId, since));
    power.take(this.stateOf("power"));
    void power.fetch(this.hass).then(() => this.requestUpdate());
  }

  private get wantsReceipts(): number {
    return this.config.receipts ?? RECEIPTS;
  }

  private async loadReceipts(deviceId: string): Promise<void> {
    const { receiptsOf } = this;
    let { receipts } = this;
    let reason = "";
    try {
      ({ receipts } = await getReceipts(this.hass, deviceId, this.wantsReceipts));
    } catch (error) {
      reason = await reasonOf(this.hass, error);
    }
    // Others may have been asked for meanwhile.
    if (receiptsOf !== this.receiptsOf) return;
    this.receipts = receipts;
    this.noReceipts = reason;
  }

  // What a person does

  private startClicked(): void {
    const { ask_user, ask_tariff } = this.config;
    if (ask_user || (ask_tariff && this.meter?.shows_tariff_text)) this.ask("start");
    else void this.start({});
  }

  private ask(question: "start" | "stop"): void {
    this.open = question;
    this.asked = { doing: this.doing, transactionId: this.transactionId };
  }

  /** Take back a question whose answer would end another transaction than the one meant. */
  private withdraw(): void {
    this.renderRoot.querySelector<Dialog | StartDialog>("dc-meter-dialog, dc-meter-start")?.close();
  }

  private start(fields: Record<string, string>): Promise<void> {
    return this.act("starting", async (meter) => {
      const entityId = meter.entities.transaction;
      if (Object.keys(fields).length || !entityId) await start(this.hass, meter.device_id, fields);
      else await startPlainly(this.hass, entityId);
      return "";
    });
  }

  private stop(): Promise<void> {
    const transactionId = this.asked?.transactionId;
    const { hass, name, say } = this.voice;
    return this.act("stopping", async (meter) => {
      const { session, verdict } = await stop(hass, meter.device_id, transactionId);
      return [
        say("stopped", { energy: energy(session.energy_import_wh, hass) }),
        session.cost === null ? "" : money(session.cost, session.currency, hass),
        verdict ? name("verdict", verdict.verdict) : "",
      ]
        .filter(Boolean)
        .join(" · ");
    });
  }

  /** Do one thing at a time, and say here what came of it. */
  private async act(
    busy: "starting" | "stopping",
    work: (meter: Meter) => Promise<string>,
  ): Promise<void> {
    const { meter } = this;
    if (this.busy || !meter || this.preview) return;
    this.busy = busy;
    this.refused = this.news = "";
    try {
      this.news = await work(meter);
    } catch (error) {
      const reason = await reasonOf(this.hass, error);
      // The transaction has ended all the same: the switch, going off, must not wipe that away.
      if ((error as Refusal).translation_key === "no_receipt") this.news = reason;
      else this.refused = reason;
    } finally {
      this.busy = undefined;
    }
  }

  // What is shown

  protected override render() {
    const { missing } = this;
    const { say } = this.voice;
    if (missing === "loading") {
      return html`<ha-card aria-busy="true"><div class="empty">${say("loading")}</div></ha-card>`;
    }
    if (missing) {
      return html`<ha-card>
        <div class="empty">
          ${icon("ev-station", "neutral")}
          <p>${say(missing) || RESTART}</p>
        </div>
      </ha-card>`;
    }
    return html`
      <ha-card>
        ${this.header()} ${this.session()} ${this.notes()} ${this.button()}
        ${this.receiptsSection()}
        <div class="unseen" role="status">${say(this.doing)}</div>
      </ha-card>
      ${this.dialogs()}
    `;
  }

  private header() {
    const { doing, running } = this;
    const user = running && !running.foreign ? running.user : "";
    return html`
      <div class="head ${doing}">
        <span class="badge">${icon("ev-station")}</span>
        <div class="title">
          <h2><bdi>${this.config.name || this.meter?.name}</bdi></h2>
          <span class="secondary">
            ${this.voice.say(doing)}${user ? html` · <bdi>${user}</bdi>` : nothing}
          </span>
        </div>
      </div>
    `;
  }

  /** A state in the user's own units; what is not known is not shown as if it were. */
  private shown(key: string): string {
    const entity = this.stateOf(key);
    return entity && this.hass.connected && Number.isFinite(Number(entity.state))
      ? this.hass.formatEntityState(entity)
      : UNKNOWN;
  }

  private session() {
    const { hass, say } = this.voice;
    const running = this.sample ? sampleSession(this.now) : this.running;
    if (!running || running.foreign) {
      return this.facts([
        [say("power"), this.shown("power")],
        [say("meter_register"), this.shown("energy_import")],
      ]);
    }
    const heard = this.doing !== "unavailable" && this.doing !== "disconnected";
    const { started_at: startedAt, energy_export_wh: exported } = running;
    const facts: Fact[] = [
      [say("energy"), energy(heard ? running.energy_import_wh : null, hass)],
      [say("energy_export"), exported && heard ? energy(exported, hass) : ""],
      [say("duration"), startedAt ? duration(this.now - Date.parse(startedAt)) : UNKNOWN],
      [
        say("cost"),
        running.price_per_kwh === null
          ? ""
          : money(heard ? running.cost : null, running.currency, hass),
      ],
    ];
    return html`
      <div class="power numbers">
        <span class="unseen">${say("power")}</span>
        <bdi>${this.shown("power")}</bdi>
      </div>
      ${startedAt ? this.curve(Date.parse(startedAt)) : nothing} ${this.facts(facts)}
    `;
  }

  private facts(facts: Fact[]) {
    return html`<dl>
      ${facts
        .filter(([, value]) => value)
        .map(
          ([name, value]) => html`<div>
            <dt>${name}</dt>
            <dd class="numbers"><bdi>${value}</bdi></dd>
          </div>`,
        )}
    </dl>`;
  }

  private curve(startedAt: number) {
    const { now } = this;
    const { hass, say } = this.voice;
    const steps: readonly Step[] = this.sample ? sampleSteps(now) : (this.power?.steps ?? []);
    const holes: Span[] =
      this.running && !this.running.foreign
        ? this.running.gaps
            .filter((gap) => gap.kind !== "clock_unsynchronized")
            .map((gap) => [Date.parse(gap.begins_at), Date.parse(gap.ends_at)])
        : [];
    const values = means(steps, [startedAt, Math.max(now, startedAt + TICK_MS)], holes);
    const power = this.stateOf("power");
    const highest = Math.max(0, ...values.filter((value) => value !== null));
    const most = power
      ? hass.formatEntityState({ ...power, state: highest.toFixed(1) })
      : highest.toFixed(0);
    return html`
      <svg
        class="curve"
        role="img"
        aria-label=${say("sparkline", { power: most })}
        viewBox="0 0 ${BINS} 100"
        preserveAspectRatio="none"
      >
        ${sparkline(values)}
      </svg>
    `;
  }

  private notes() {
    const { doing, running } = this;
    const { name, say } = this.voice;
    const notes: string[] = [];
    if (doing === "unavailable") notes.push(say("unavailable_text"));
    if (running?.foreign) notes.push(say("foreign"));
    else if (running) {
      notes.push(...running.warnings.map((warning) => name("start_warning", warning)));
      const gaps = new Set(running.gaps.map((gap) => gap.kind));
      notes.push(...[...gaps].map((kind) => name("gap", kind)));
    }
    return html`
      ${notes.map((note) => html`<p class="note warning">${icon("alert", "warning")}<span>${note}</span></p>`)}
      <div role="alert">
        ${this.refused
          ? html`<p class="note bad">${icon("alert-circle", "bad")}<span>${this.refused}</span></p>`
          : nothing}
      </div>
      <div role="status">
        ${this.news ? html`<p class="note">${this.news}</p>` : nothing}
      </div>
    `;
  }

  private button() {
    const { doing } = this;
    const { say } = this.voice;
    const charging = doing === "charging" || doing === "stopping" || this.running !== null;
    const ready = (doing === "charging" || doing === "ready") && !this.preview && !this.sample;
    // One button that is never disabled in the browser's way: the focus stays on it.
    return html`
      <button
        class="pill ${charging ? "danger" : ""}"
        aria-disabled=${!ready}
        @click=${() => {
          if (!ready) return;
          if (charging) this.ask("stop");
          else this.startClicked();
        }}
      >
        ${icon(charging ? "stop" : "play")}${say(charging ? "stop" : "start")}
      </button>
    `;
  }

  private receiptsSection() {
    const { hass, say } = this.voice;
    if (!hass.user?.is_admin || !this.wantsReceipts) return nothing;
    const receipts = this.sample
      ? sampleReceipts(this.now).slice(0, this.wantsReceipts)
      : this.receipts;
    return html`
      <section>
        <div class="section-head">
          <h3>${say("receipts")}</h3>
          ${receipts?.length
            ? html`<button
                class="pill plain"
                @click=${() => {
                  if (!this.sample) this.open = "history";
                }}
              >
                ${say("all_receipts")}
              </button>`
            : nothing}
        </div>
        ${receipts?.length
          ? receiptsList(receipts, this.voice, (receipt) => {
              if (!this.sample) this.chosen = receipt;
            })
          : this.noReceipts
            ? nothing
            : html`<p class="secondary none">${receipts ? say("no_receipts") : say("loading")}</p>`}
        ${this.noReceipts
          ? html`<p class="note bad" role="alert">
              ${icon("alert-circle", "bad")}${this.noReceipts}
            </p>`
          : nothing}
      </section>
    `;
  }

  private dialogs() {
    const { voice } = this;
    const { say } = voice;
    const deviceId = this.meter?.device_id ?? "";
    const close = () => (this.open = undefined);
    return html`
      ${this.open === "start"
        ? html`<dc-meter-start
            .voice=${voice}
            .askUser=${Boolean(this.config.ask_user)}
            .askTariff=${Boolean(this.config.ask_tariff && this.meter?.shows_tariff_text)}
            @start=${(event: CustomEvent<Record<string, string>>) => this.start(event.detail)}
            @closed=${close}
          ></dc-meter-start>`
        : nothing}
      ${this.open === "stop"
        ? html`<dc-meter-dialog alert .heading=${say("stop_title")} @closed=${close}>
            <p>${say("stop_text")}</p>
            <button slot="actions" class="pill plain" @click=${this.closeStop}>
              ${say("cancel")}
            </button>
            <button
              slot="actions"
              class="pill danger"
              @click=${(event: Event) => {
                this.closeStop(event);
                void this.stop();
              }}
            >
              ${say("stop")}
            </button>
          </dc-meter-dialog>`
        : nothing}
      ${this.open === "history"
        ? html`<dc-meter-history
            .voice=${voice}
            .deviceId=${deviceId}
            @choose=${(event: CustomEvent<Receipt>) => (this.chosen = event.detail)}
            @closed=${close}
          ></dc-meter-history>`
        : nothing}
      ${this.chosen
        ? html`<dc-meter-receipt
            .voice=${voice}
            .receipt=${this.chosen}
            .deviceId=${deviceId}
            @closed=${() => (this.chosen = undefined)}
          ></dc-meter-receipt>`
        : nothing}
    `;
  }

  private closeStop(event: Event): void {
    (event.currentTarget as Element).closest<Dialog>("dc-meter-dialog")?.close();
  }

  static override styles = [
    styles,
    receiptsStyles,
    css`
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
    `,
  ];
}
