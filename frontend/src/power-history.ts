// The power of the running session: from the recorder what was, from the states what comes.
import type { EntityState, Hass } from "./home-assistant";
import type { Step } from "./sparkline";

/** A row of the recorder in its short form: state, and when it was written in seconds. */
interface Row {
  s: string;
  lu: number;
}

const known = (state: string): number | null =>
  state.trim() === "" || !Number.isFinite(Number(state)) ? null : Number(state);

export class PowerHistory {
  private past: Step[] = [];
  private live: Step[] = [];

  constructor(
    readonly entityId: string,
    readonly since: number,
  ) {}

  get steps(): readonly Step[] {
    const first = this.live[0];
    return first ? [...this.past.filter((step) => step.at < first.at), ...this.live] : this.past;
  }

  /** Fetch what was recorded; without a recorder the course begins now. */
  async fetch(hass: Hass): Promise<void> {
    try {
      const rows = await hass.callWS<Partial<Record<string, Row[]>>>({
        type: "history/history_during_period",
        start_time: new Date(this.since).toISOString(),
        entity_ids: [this.entityId],
        minimal_response: true,
        no_attributes: true,
        significant_changes_only: false,
      });
      this.past = (rows[this.entityId] ?? []).map(({ s, lu }) => ({
        at: lu * 1000,
        power: known(s),
      }));
    } catch {
      // What cannot be had is a hole.
    }
  }

  /** Take a state that has just come; undefined is none. */
  take(state: EntityState | undefined): void {
    const step = state
      ? { at: Date.parse(state.last_updated), power: known(state.state) }
      : { at: Date.now(), power: null };
    const last = this.live.at(-1);
    if (!last || (step.at > last.at && step.power !== last.power)) this.live.push(step);
  }
}
