// Numbers, money and times as the user has set them in their profile; energy to the last digit.
import type { Hass, Locale } from "./home-assistant";

type Settings = Pick<Hass, "locale" | "config">;

/** What stands where a value is not known. */
export const UNKNOWN = "—";

const NUMBER_LOCALES: Record<string, string[] | undefined> = {
  comma_decimal: ["en-US"],
  decimal_comma: ["de"],
  space_comma: ["fr"],
  quote_decimal: ["de-CH"],
  none: ["en-US"],
};

/** Make a format once: browsers take their time for each, and lists need thousands. */
function kept<O, F>(make: new (locales?: string | string[], options?: O) => F) {
  const formats = new Map<string, F>();
  return (locales: string | string[] | undefined, options: O): F => {
    const key = JSON.stringify([locales, options]);
    const format = formats.get(key) ?? new make(locales, options);
    formats.set(key, format);
    return format;
  };
}

const numberFormatOf = kept<Intl.NumberFormatOptions, Intl.NumberFormat>(Intl.NumberFormat);
const timeFormatOf = kept<Intl.DateTimeFormatOptions, Intl.DateTimeFormat>(Intl.DateTimeFormat);

function numberFormat(locale: Locale, options: Intl.NumberFormatOptions) {
  return numberFormatOf(
    locale.number_format === "system"
      ? undefined
      : (NUMBER_LOCALES[locale.number_format] ?? locale.language),
    { ...options, useGrouping: locale.number_format !== "none" },
  );
}

/** Move the decimal point by three places in the digits themselves: no rounding can creep in. */
export function thousandth(value: number): string {
  const [, sign = "", whole = "0", fraction = ""] =
    /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(value)) ?? [];
  const digits = whole.padStart(4, "0");
  return `${sign}${digits.slice(0, -3)}.${digits.slice(-3)}${fraction}`;
}

/** Write watt-hours as kilowatt-hours, every digit of them. */
export function energy(wattHours: number | null | undefined, { locale }: Settings): string {
  if (wattHours == null) return UNKNOWN;
  const text = thousandth(wattHours);
  const places = text.length - text.indexOf(".") - 1;
  // Given as text, a number is formatted exactly.
  const number = numberFormat(locale, { minimumFractionDigits: places }).format(
    text as Intl.StringNumericLiteral,
  );
  return `${number} kWh`;
}

export function money(
  amount: number | null | undefined,
  currency: string | null | undefined,
  { locale }: Settings,
): string {
  if (amount == null) return UNKNOWN;
  const options: Intl.NumberFormatOptions = { minimumFractionDigits: 2, maximumFractionDigits: 6 };
  try {
    return numberFormat(locale, {
      ...options,
      style: "currency",
      currency: currency ?? "",
    }).format(amount);
  } catch {
    // What a price entity calls its currency need not be one that the browser knows.
    return `${numberFormat(locale, options).format(amount)} ${currency ?? ""}`.trim();
  }
}

/** Write a length of time as hours, minutes and seconds. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (value: number) => String(value).padStart(2, "0");
  return [
    Math.floor(seconds / 3600),
    two(Math.floor(seconds / 60) % 60),
    two(seconds % 60),
  ].join(":");
}

/** Count hours to twelve or to 24; undefined is as the language does. */
function hourCycle(format: string): Intl.DateTimeFormatOptions["hourCycle"] {
  switch (format) {
    case "12":
      return "h12";
    case "24":
      return "h23";
    case "system":
      return timeFormatOf(undefined, { hour: "numeric" }).resolvedOptions().hourCycle;
    default:
      return undefined;
  }
}

function timeFormat({ locale, config }: Settings, options: Intl.DateTimeFormatOptions) {
  return timeFormatOf(locale.language, {
    ...options,
    hourCycle: hourCycle(locale.time_format),
    ...(locale.time_zone === "server" ? { timeZone: config.time_zone } : {}),
  });
}

function date(moment: Date, settings: Settings): string {
  const order = settings.locale.date_format;
  if (!/^[DMY]{3}$/.test(order)) {
    return timeFormat(settings, { dateStyle: "medium" }).format(moment);
  }
  const parts = timeFormat(settings, {
    year: "numeric",
    month: "numeric",
    day: "numeric",
  }).formatToParts(moment);
  const part = (type: string) => parts.find((one) => one.type === type)?.value ?? "";
  const names: Record<string, string> = { D: "day", M: "month", Y: "year" };
  return [...order].map((letter) => part(names[letter] ?? "")).join(part("literal"));
}

/** Write the day and the time of day, with seconds where they matter. */
export function dateTime(
  moment: string | null | undefined,
  settings: Settings,
  seconds = false,
): string {
  if (!moment) return UNKNOWN;
  const at = new Date(moment);
  const time = timeFormat(settings, {
    hour: "numeric",
    minute: "2-digit",
    ...(seconds ? { second: "2-digit" } : {}),
  });
  return `${date(at, settings)}, ${time.format(at)}`;
}
