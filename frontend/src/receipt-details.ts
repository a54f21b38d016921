// One receipt: what it is worth and why, what it says, what it proves, and files of it.
import { LitElement, type TemplateResult, css, html, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import "./dialog";
import "./downloads";
import { dateTime, duration, energy, money } from "./format";
import { icon } from "./icons";
import { timesOf, userOf } from "./receipts-list";
import { FORMATS, type Gap, type Receipt } from "./server";
import { styles } from "./styles";
import { worthOf } from "./verdict";
import type { Voice } from "./words";

@customElement("dc-meter-receipt")
export class ReceiptDetails extends LitElement {
  @property({ attribute: false }) voice!: Voice;
  @property({ attribute: false }) receipt!: Receipt;
  @property() deviceId = "";

  protected override render() {
    const { say } = this.voice;
    const { receipt } = this;
    const worth = worthOf(receipt, this.voice);
    const ocmf = receipt.signed_meter_value?.encoding_method === "OCMF";
    return html`
      <dc-meter-dialog .heading=${say("receipt")} .closeLabel=${say("close")} @closed=${this.closed}>
        <div class="note ${worth.kind}">
          ${icon(worth.icon, worth.kind)}
          <div>
            <strong>${worth.words}</strong>
            ${worth.reasons.map((reason) => html`<p>${reason}</p>`)}
          </div>
        </div>
        <dl>${this.facts()}</dl>
        ${this.signed()}
        <dc-meter-downloads
          slot="actions"
          .voice=${this.voice}
          .deviceId=${this.deviceId}
          .transactionId=${receipt.transaction_id}
          .formats=${FORMATS.filter((format) => ocmf || format !== "safe_xml")}
        ></dc-meter-downloads>
      </dc-meter-dialog>
    `;
  }

  private facts(): TemplateResult[] {
    const { hass, name, say } = this.voice;
    const { session, tariff_text, transaction_id, verdict } = this.receipt;
    const { begin, end } = timesOf(this.receipt);
    const facts: [string, unknown][] = [
      [say("energy"), energy(session.energy_import_wh, hass)],
      [say("energy_export"), session.energy_export_wh ? energy(session.energy_export_wh, hass) : ""],
      [say("cost"), session.cost === null ? "" : money(session.cost, session.currency, hass)],
      [
        say("price"),
        session.price_per_kwh === null
          ? ""
          : say("per_kwh", {
              price: money(session.price_per_kwh, session.currency, hass),
            }),
      ],
      [say("begin"), dateTime(begin, hass, true)],
      [say("end"), dateTime(end, hass, true)],
      [say("duration"), begin && end ? duration(Date.parse(end) - Date.parse(begin)) : ""],
      [say("user"), userOf(this.receipt)],
      [say("tariff_text"), tariff_text],
      [say("charge_point"), session.evse_id],
      [say("meter"), session.meter],
      [say("transaction"), transaction_id],
      [
        say("proved"),
        verdict?.covers.map((covered) => name("covered", covered)).join(", "),
      ],
      [say("gaps"), session.gaps.map((gap) => this.gap(gap))],
      [say("key"), verdict?.key_fingerprint],
    ];
    return facts
      .filter(([, value]) => (Array.isArray(value) ? value.length : value))
      .map(([name, value]) => html`<div><dt>${name}</dt><dd class="numbers"><bdi>${value}</bdi></dd></div>`);
  }

  private gap({ kind, begins_at, ends_at }: Gap) {
    const { hass, name } = this.voice;
    return html`<div>
      ${dateTime(begins_at, hass, true)} – ${dateTime(ends_at, hass, true)}:
      ${name("gap", kind)}
    </div>`;
  }

  private signed() {
    const { start_signed_meter_value: start, signed_meter_value: end } = this.receipt;
    const values = [start, end].filter((value) => value !== undefined);
    if (!values.length) return nothing;
    return html`
      <details>
        <summary>${this.voice.say("signed_data")}</summary>
        ${values.map(
          (value) => html`<pre tabindex="0" dir="ltr">${value.signed_meter_data}</pre>`,
        )}
      </details>
    `;
  }

  private closed(event: Event): void {
    event.stopPropagation();
    this.dispatchEvent(new Event("closed"));
  }

  static override styles = [
    styles,
    css`
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
    `,
  ];
}
