// What the integration tells the card: the commands of websocket_api.py, and its actions.
import type { Hass } from "./home-assistant";

export const DOMAIN = "dc_meter";

export interface Meter {
  device_id: string;
  name: string;
  model: string | null;
  serial_number: string;
  shows_tariff_text: boolean;
  entities: Partial<Record<string, string>>;
}

export interface Gap {
  kind: string;
  begins_at: string;
  ends_at: string;
}

/** The session that runs; of one that nobody here started, no more than that is known. */
export type Running = { foreign: true } | RunningSession;

export interface RunningSession {
  foreign: false;
  transaction_id: string;
  started_at: string | null;
  /** Only for administrators; empty when nobody was named. */
  user?: string;
  energy_import_wh: number | null;
  energy_export_wh: number | null;
  tariff_text: string;
  price_per_kwh: number | null;
  currency: string | null;
  cost: number | null;
  gaps: Gap[];
  warnings: string[];
}

export interface SignedValue {
  signed_meter_data: string;
  encoding_method: string;
  public_key: string;
}

export interface Verdict {
  verdict: "valid" | "invalid" | "unverifiable";
  reason: string;
  billable: boolean;
  objections: string[];
  caveats: string[];
  covers: string[];
  begins_at: string | null;
  ends_at: string | null;
  energy_import_wh: number | null;
  energy_export_wh: number | null;
  key_fingerprint: string | null;
}

/** A finished session. */
export interface Receipt extends Stopped {
  /** By what is signed or else was asked for; empty when nobody was named. */
  user: string;
  tariff_text: string;
}

/** A finished session, as stop answers. */
export interface Stopped {
  transaction_id: string;
  signed_meter_value?: SignedValue;
  start_signed_meter_value?: SignedValue;
  verdict?: Verdict;
  session: {
    meter: string;
    evse_id: string;
    identification_data: string;
    client_id: string;
    tariff_text: string;
    started_at: string | null;
    ended_at: string | null;
    meter_started_at: string | null;
    meter_ended_at: string | null;
    energy_import_wh: number | null;
    energy_export_wh: number | null;
    price_per_kwh: number | null;
    currency: string | null;
    cost: number | null;
    gaps: Gap[];
    warnings: string[];
  };
}

export interface Page {
  receipts: Receipt[];
  cursor: number | null;
}

export const FORMATS = ["pdf", "zip", "csv", "safe_xml"] as const;
export type Format = (typeof FORMATS)[number];

export const getMeters = (hass: Hass): Promise<Meter[]> =>
  hass.callWS({ type: `${DOMAIN}/meters` });

export const getReceipts = (
  hass: Hass,
  deviceId: string,
  limit: number,
  cursor: number | null = null,
): Promise<Page> =>
  hass.callWS({
    type: `${DOMAIN}/receipts`,
    device_id: deviceId,
    limit,
    ...(cursor === null ? {} : { cursor }),
  });

export const subscribeSession = (
  hass: Hass,
  deviceId: string,
  listener: (running: Running | null) => void,
): Promise<() => Promise<void>> =>
  hass.connection.subscribeMessage(
    listener,
    { type: `${DOMAIN}/subscribe_session`, device_id: deviceId },
    // Nobody would hear that Home Assistant refused it the second time: the card asks by itself.
    { resubscribe: false },
  );

/** Start without naming anybody: nothing happens when a transaction runs already. */
export const startPlainly = (hass: Hass, entityId: string) =>
  hass.callService("switch", "turn_on", {}, { entity_id: entityId }, false);

/** Start for whoever is named; refused when a transaction runs already, which it would end. */
export const start = (hass: Hass, deviceId: string, fields: Record<string, string>) =>
  hass.callService(
    DOMAIN,
    "start_transaction",
    { device_id: deviceId, unless_running: true, ...fields },
    undefined,
    false,
  );

/** Stop the transaction of this id, or whichever runs where its id is not known. */
export async function stop(
  hass: Hass,
  deviceId: string,
  transactionId: string | undefined,
): Promise<Stopped> {
  const { response } = await hass.callService(
    DOMAIN,
    "stop_transaction",
    { device_id: deviceId, ...(transactionId ? { transaction_id: transactionId } : {}) },
    undefined,
    false,
    true,
  );
  return response as Stopped;
}

/** Make a file of one receipt, or of all of a meter, and let the browser fetch it. */
export async function download(
  hass: Hass,
  deviceId: string,
  format: Format,
  transactionId?: string,
): Promise<void> {
  const { response } = await hass.callService(
    DOMAIN,
    "export_receipts",
    {
      device_id: deviceId,
      format,
      ...(transactionId ? { transaction_id: transactionId } : {}),
    },
    undefined,
    false,
    true,
  );
  const { url, file_name } = response as { url: string; file_name: string };
  const link = document.createElement("a");
  link.href = hass.hassUrl(url);
  link.download = file_name;
  // The companion apps fetch what opens in a new window.
  link.target = "_blank";
  link.rel = "noreferrer";
  document.body.append(link);
  link.click();
  link.remove();
}
