// A session that nobody charged, for the card picker where no meter is chosen yet.
import type { EntityState } from "./home-assistant";
import type { Meter, Receipt, RunningSession } from "./server";
import type { Step } from "./sparkline";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const entity = (entity_id: string, state: string, unit?: string): EntityState => ({
  entity_id,
  state,
  last_updated: new Date(0).toISOString(),
  attributes: unit ? { unit_of_measurement: unit } : {},
});

export const SAMPLE_METER: Meter = {
  device_id: "",
  name: "DC Charging Meter",
  model: null,
  serial_number: "",
  shows_tariff_text: true,
  entities: {
    transaction: "switch.sample",
    power: "sensor.sample_power",
    energy_import: "sensor.sample_energy",
  },
};

export const SAMPLE_STATES: Record<string, EntityState | undefined> = Object.fromEntries(
  [
    entity("switch.sample", "on"),
    entity("sensor.sample_power", "86.4", "kW"),
    entity("sensor.sample_energy", "4465.402", "kWh"),
  ].map((state) => [state.entity_id, state]),
);

export const sampleSession = (now: number): RunningSession => ({
  foreign: false,
  transaction_id: "",
  started_at: new Date(now - 23 * MINUTE).toISOString(),
  user: "",
  energy_import_wh: 38_207,
  energy_export_wh: 0,
  tariff_text: "",
  price_per_kwh: 0.39,
  currency: "EUR",
  cost: 14.9,
  gaps: [],
  warnings: [],
});

/** A charging curve: quickly up, then down as the battery fills. */
export const sampleSteps = (now: number): Step[] =>
  Array.from({ length: 93 }, (_, quarter) => ({
    at: now - 23 * MINUTE + quarter * 15_000,
    power: quarter < 6 ? quarter * 24 : 146 - Math.max(0, quarter - 30) * 0.95,
  }));

const sampleReceipt = (ended: number, energy: number, cost: number): Receipt => ({
  transaction_id: "",
  user: "",
  tariff_text: "",
  verdict: {
    verdict: "valid",
    reason: "genuine",
    billable: true,
    objections: [],
    caveats: [],
    covers: [],
    begins_at: null,
    ends_at: null,
    energy_import_wh: energy,
    energy_export_wh: 0,
    key_fingerprint: null,
  },
  session: {
    meter: "",
    evse_id: "",
    identification_data: "",
    client_id: "",
    tariff_text: "",
    started_at: null,
    ended_at: new Date(ended).toISOString(),
    meter_started_at: null,
    meter_ended_at: null,
    energy_import_wh: energy,
    energy_export_wh: 0,
    price_per_kwh: 0.39,
    currency: "EUR",
    cost,
    gaps: [],
    warnings: [],
  },
});

export const sampleReceipts = (now: number): Receipt[] => [
  sampleReceipt(now - 21 * HOUR, 41_874, 16.33),
  sampleReceipt(now - 67 * HOUR, 27_310, 10.65),
];
