// Who charges, and at what tariff: asked before a start where the card is set to.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import "./dialog";
import type { Dialog } from "./dialog";
import { icon } from "./icons";
import { styles } from "./styles";
import type { Voice } from "./words";

/** The limits of the action, which checks them again. */
const LIMITS = { identification_data: 255, tariff_text: 250 } as const;
type Field = keyof typeof LIMITS;

@customElement("dc-meter-start")
export class StartDialog extends LitElement {
  @property({ attribute: false }) voice!: Voice;
  @property({ type: Boolean }) askUser = false;
  @property({ type: Boolean }) askTariff = false;
  @query("form") private form!: HTMLFormElement;
  @query("dc-meter-dialog") private dialog!: Dialog;

  protected override firstUpdated(): void {
    // The dialog opens with its own first update, and would begin with its close button.
    void this.dialog.updateComplete.then(() => this.form.querySelector("input")?.focus());
  }

  close(): void {
    this.dialog.close();
  }

  protected override render() {
    const { say } = this.voice;
    // Without a button of its own to submit it, a form of several fields takes no Enter.
    return html`
      <dc-meter-dialog
        .heading=${say("start_title")}
        .closeLabel=${say("cancel")}
        @closed=${this.closed}
      >
        <form @submit=${this.submit}>
          ${this.askUser
            ? this.field("identification_data", say("user"), say("user_helper"))
            : nothing}
          ${this.askTariff
            ? this.field("tariff_text", say("tariff_text"), say("tariff_helper"))
            : nothing}
          <input type="submit" hidden />
        </form>
        <button slot="actions" class="pill plain" @click=${this.close}>
          ${say("cancel")}
        </button>
        <button slot="actions" class="pill" @click=${() => this.form.requestSubmit()}>
          ${icon("play")}${say("start")}
        </button>
      </dc-meter-dialog>
    `;
  }

  private field(name: Field, label: string, helper: string) {
    return html`
      <label>
        <span>${label}</span>
        <input
          name=${name}
          maxlength=${LIMITS[name]}
          autocomplete="off"
          autocapitalize="off"
          spellcheck="false"
          aria-describedby="${name}-helper"
        />
      </label>
      <p class="secondary" id="${name}-helper">${helper}</p>
    `;
  }

  private submit(event: SubmitEvent): void {
    event.preventDefault();
    const fields: Record<string, string> = {};
    for (const [name, value] of new FormData(this.form)) {
      const text = String(value).trim();
      if (text) fields[name] = text;
    }
    this.close();
    this.dispatchEvent(new CustomEvent("start", { detail: fields }));
  }

  private closed(event: Event): void {
    event.stopPropagation();
    this.dispatchEvent(new Event("closed"));
  }

  static override styles = [
    styles,
    css`
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
    `,
  ];
}
