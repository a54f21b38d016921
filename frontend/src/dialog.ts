// A dialog in Home Assistant's looks. The browser's own keeps the focus in it and gives it back.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import { icon } from "./icons";
import { styles } from "./styles";

@customElement("dc-meter-dialog")
export class Dialog extends LitElement {
  @property() heading = "";
  @property() closeLabel = "";
  /** Asks a question: closed by its answers alone, as small as that. */
  @property({ type: Boolean, reflect: true }) alert = false;
  @query("dialog") private dialog!: HTMLDialogElement;

  protected override firstUpdated(): void {
    this.dialog.showModal();
  }

  close(): void {
    this.dialog.close();
  }

  protected override render() {
    return html`
      <dialog
        aria-labelledby="heading"
        role=${this.alert ? "alertdialog" : nothing}
        @close=${this.closed}
        @click=${this.clicked}
      >
        <div class="frame">
          <header>
            ${this.alert
              ? nothing
              : html`<button class="round" aria-label=${this.closeLabel} @click=${this.close}>
                  ${icon("close")}
                </button>`}
            <h2 id="heading">${this.heading}</h2>
          </header>
          <div class="body"><slot></slot></div>
          <footer><slot name="actions"></slot></footer>
        </div>
      </dialog>
    `;
  }

  private clicked(event: MouseEvent): void {
    // Only the backdrop is the dialog itself; all within is in its frame.
    if (!this.alert && event.target === this.dialog) this.close();
  }

  private closed(): void {
    this.dispatchEvent(new Event("closed"));
  }

  static override styles = [
    styles,
    css`
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
    `,
  ];
}
