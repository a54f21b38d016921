// The buttons that make a file of receipts and fetch it.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { reasonOf } from "./home-assistant";
import { icon } from "./icons";
import { type Format, download } from "./server";
import { styles } from "./styles";
import type { Voice } from "./words";

const NAMES: Record<Format, string> = { pdf: "PDF", zip: "ZIP", csv: "CSV", safe_xml: "XML" };

@customElement("dc-meter-downloads")
export class Downloads extends LitElement {
  @property({ attribute: false }) voice!: Voice;
  @property() deviceId = "";
  /** One transaction; all of the meter's when left out. */
  @property() transactionId?: string;
  @property({ attribute: false }) formats: readonly Format[] = [];
  @state() private busy?: Format | undefined;
  @state() private said = "";
  @state() private refused = "";

  protected override render() {
    const { say } = this.voice;
    return html`
      <div class="buttons" role="group" aria-label=${say("download")}>
        ${this.formats.map(
          (format) => html`
            <button
              class="pill"
              aria-label=${say("download_as", { format: NAMES[format] })}
              aria-disabled=${this.busy !== undefined}
              @click=${() => this.fetch(format)}
            >
              ${icon("download")}${NAMES[format]}
            </button>
          `,
        )}
      </div>
      <div class="unseen" role="status">${this.said}</div>
      ${this.refused
        ? html`<p class="note bad" role="alert">${icon("alert-circle", "bad")}${this.refused}</p>`
        : nothing}
    `;
  }

  private async fetch(format: Format): Promise<void> {
    // Not disabled in the browser's way, which takes the focus off.
    if (this.busy) return;
    const { hass, say } = this.voice;
    this.busy = format;
    this.refused = this.said = "";
    try {
      await download(hass, this.deviceId, format, this.transactionId);
      this.said = say("downloaded");
    } catch (error) {
      this.refused = await reasonOf(hass, error);
    } finally {
      this.busy = undefined;
    }
  }

  static override styles = [
    styles,
    css`
      .buttons {
        display: flex;
        flex-wrap: wrap;
        gap: 8px;
      }
      .note {
        margin-block-start: 12px;
      }
    `,
  ];
}
