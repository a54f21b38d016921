// All receipts of a meter, a page at a time, however many there are.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, queryAll, state } from "lit/decorators.js";
import "./dialog";
import "./downloads";
import { reasonOf } from "./home-assistant";
import { icon } from "./icons";
import { receiptsList, receiptsStyles } from "./receipts-list";
import { FORMATS, type Receipt, getReceipts } from "./server";
import { styles } from "./styles";
import type { Voice } from "./words";

const PAGE = 50;

@customElement("dc-meter-history")
export class History extends LitElement {
  @property({ attribute: false }) voice!: Voice;
  @property() deviceId = "";
  @state() private receipts: Receipt[] = [];
  @state() private cursor: number | null = null;
  @state() private busy = false;
  @state() private refused = "";
  @queryAll(".row") private rows!: NodeListOf<HTMLElement>;

  protected override firstUpdated(): void {
    void this.more();
  }

  protected override render() {
    const { say } = this.voice;
    return html`
      <dc-meter-dialog
        .heading=${say("all_receipts")}
        .closeLabel=${say("close")}
        @closed=${this.closed}
      >
        ${receiptsList(this.receipts, this.voice, (receipt) =>
          this.dispatchEvent(new CustomEvent<Receipt>("choose", { detail: receipt })),
        )}
        ${this.refused
          ? html`<p class="note bad" role="alert">${icon("alert-circle", "bad")}${this.refused}</p>`
          : nothing}
        ${this.cursor === null
          ? nothing
          : html`<button class="pill more" aria-disabled=${this.busy} @click=${this.more}>
              ${say("more_receipts")}
            </button>`}
        <div class="unseen" role="status">${this.busy ? say("loading") : ""}</div>
        <dc-meter-downloads
          slot="actions"
          .voice=${this.voice}
          .deviceId=${this.deviceId}
          .formats=${FORMATS}
        ></dc-meter-downloads>
      </dc-meter-dialog>
    `;
  }

  private async more(): Promise<void> {
    // Not disabled in the browser's way, which takes the focus off.
    if (this.busy) return;
    const { hass } = this.voice;
    const shown = this.receipts.length;
    this.busy = true;
    this.refused = "";
    try {
      const page = await getReceipts(hass, this.deviceId, PAGE, this.cursor);
      this.receipts = [...this.receipts, ...page.receipts];
      this.cursor = page.cursor;
    } catch (error) {
      this.refused = await reasonOf(hass, error);
    } finally {
      this.busy = false;
    }
    // With the last of them the button goes.
    const { activeElement } = this.renderRoot as ShadowRoot;
    await this.updateComplete;
    if (activeElement && !activeElement.isConnected) this.rows[shown]?.focus();
  }

  private closed(event: Event): void {
    event.stopPropagation();
    this.dispatchEvent(new Event("closed"));
  }

  static override styles = [
    styles,
    receiptsStyles,
    css`
      .more {
        inline-size: 100%;
        margin-block: 8px;
      }
    `,
  ];
}
