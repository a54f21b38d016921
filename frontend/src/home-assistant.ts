// What of Home Assistant's frontend the card uses; the full types are in home-assistant/frontend.

export interface Locale {
  language: string;
  number_format: string;
  time_format: string;
  date_format: string;
  time_zone: string;
}

export interface EntityState {
  entity_id: string;
  state: string;
  last_updated: string;
  attributes: Record<string, unknown>;
}

export interface Hass {
  states: Record<string, EntityState | undefined>;
  entities: Record<
    string,
    | { platform?: string; device_id?: string; entity_category?: string; hidden?: boolean }
    | undefined
  >;
  devices: Record<string, unknown>;
  user?: { is_admin: boolean };
  connected: boolean;
  language: string;
  locale: Locale;
  config: { time_zone: string; state: string };
  connection: {
    subscribeMessage<T>(
      listener: (message: T) => void,
      command: Record<string, unknown>,
      options?: { resubscribe?: boolean },
    ): Promise<() => Promise<void>>;
  };
  localize: Localize;
  formatEntityState(state: EntityState): string;
  callWS<T>(command: Record<string, unknown>): Promise<T>;
  callService(
    domain: string,
    action: string,
    data: Record<string, unknown>,
    target?: Record<string, unknown>,
    notifyOnError?: boolean,
    returnResponse?: boolean,
  ): Promise<{ response?: unknown }>;
  loadBackendTranslation(category: string, integration: string): Promise<Localize>;
  hassUrl(path: string): string;
}

export type Localize = (key: string, values?: Record<string, string>) => string;

/** What a command or an action that was refused raises. */
export interface Refusal {
  code?: string | number;
  message?: string;
  translation_domain?: string;
  translation_key?: string;
  translation_placeholders?: Record<string, string>;
}

/** What home-assistant-js-websocket gives as code when the connection is lost. */
const CONNECTION_LOST = 3;

/** Say why something was refused, as the integration does where it is the one that refused. */
export async function reasonOf(hass: Hass, error: unknown): Promise<string> {
  // A command that was under way when the connection broke raises a whole answer.
  const refusal = (error as { error?: Refusal }).error ?? (error as Refusal);
  const {
    code,
    message,
    translation_domain: domain,
    translation_key: key,
    translation_placeholders: values,
  } = refusal;
  if (error === CONNECTION_LOST || code === CONNECTION_LOST) {
    return hass.localize("component.dc_meter.config_panel.card.disconnected");
  }
  if (code === "unauthorized") {
    return hass.localize("component.dc_meter.config_panel.card.not_allowed");
  }
  if (domain && key) {
    const localize = await hass.loadBackendTranslation("exceptions", domain);
    const text = localize(`component.${domain}.exceptions.${key}.message`, values);
    if (text) return text;
  }
  return message ?? String(error);
}
