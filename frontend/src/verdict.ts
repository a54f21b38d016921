// What a receipt is worth, as an icon and in words.
import type { IconName } from "./icons";
import type { Receipt } from "./server";
import type { Voice } from "./words";

export type Kind = "good" | "warning" | "bad" | "neutral";

export interface Worth {
  icon: IconName;
  kind: Kind;
  /** A few words: the verdict, and whether it can be billed. */
  words: string;
  /** Whole sentences: why. */
  reasons: string[];
}

export function worthOf({ verdict }: Receipt, { name, say }: Voice): Worth {
  if (!verdict) {
    return {
      icon: "shield-off",
      kind: "neutral",
      words: say("not_signed"),
      reasons: [say("not_signed_text")],
    };
  }
  const reasons = [
    name("verdict_reason", verdict.reason),
    ...verdict.objections.map((objection) => name("objection", objection)),
    ...verdict.caveats.map((caveat) => name("caveat", caveat)),
  ];
  const verdictWords = name("verdict", verdict.verdict);
  switch (verdict.verdict) {
    case "valid": {
      const { billable } = verdict;
      return {
        icon: billable ? "shield-check" : "alert",
        kind: billable ? "good" : "warning",
        words: `${verdictWords} · ${say(billable ? "billable" : "not_billable")}`,
        reasons,
      };
    }
    case "invalid":
      return { icon: "shield-alert", kind: "bad", words: verdictWords, reasons };
    default:
      return { icon: "help-circle", kind: "warning", words: verdictWords, reasons };
  }
}
