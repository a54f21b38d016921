// Receipts in rows: their verdict first, for that is what they are for.
import { type TemplateResult, css, html, nothing } from "lit";
import { dateTime, energy, money } from "./format";
import { icon } from "./icons";
import type { Receipt } from "./server";
import { worthOf } from "./verdict";
import type { Voice } from "./words";

/** Who charged, by the first of their names that is given. */
export const userOf = ({ user, session }: Receipt): string => user || session.client_id;

/** Begin and end by the first clock that knows both, as on paper: what is signed comes first. */
export function timesOf({ session, verdict }: Receipt): {
  begin: string | null;
  end: string | null;
} {
  if (verdict?.begins_at && verdict.ends_at) {
    return { begin: verdict.begins_at, end: verdict.ends_at };
  }
  if (session.meter_started_at && session.meter_ended_at) {
    return { begin: session.meter_started_at, end: session.meter_ended_at };
  }
  return { begin: session.started_at, end: session.ended_at };
}

function row(receipt: Receipt, voice: Voice, choose: (receipt: Receipt) => void) {
  const { hass } = voice;
  const { session } = receipt;
  const worth = worthOf(receipt, voice);
  const user = userOf(receipt);
  const { begin, end } = timesOf(receipt);
  return html`
    <li>
      <button class="row" @click=${() => choose(receipt)}>
        ${icon(worth.icon, worth.kind)}
        <span class="what">
          <span class="when">${dateTime(end ?? begin, hass)}</span>
          <span class="secondary">${worth.words}${user ? html` · <bdi>${user}</bdi>` : nothing}</span>
        </span>
        <span class="much numbers">
          <bdi>${energy(session.energy_import_wh, hass)}</bdi>
          ${session.cost === null
            ? nothing
            : html`<bdi class="secondary">${money(session.cost, session.currency, hass)}</bdi>`}
        </span>
        ${icon("chevron-right", "neutral to")}
      </button>
    </li>
  `;
}

export const receiptsList = (
  receipts: readonly Receipt[],
  voice: Voice,
  choose: (receipt: Receipt) => void,
): TemplateResult => html`
  <ul class="receipts">
    ${receipts.map((receipt) => row(receipt, voice, choose))}
  </ul>
`;

export const receiptsStyles = css`
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
`;
