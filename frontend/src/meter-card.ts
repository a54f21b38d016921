// The card of one meter.
import { LitElement, html } from "lit";
import { customElement } from "lit/decorators.js";

@customElement("dc-meter-card")
export class MeterCard extends LitElement {
  setConfig(): void {}

  protected override render() {
    return html`<ha-card></ha-card>`;
  }
}
