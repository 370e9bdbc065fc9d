import type { Deed } from "./wire.ts";

/** Does what an avatar does. Resolves to why not, or to nothing. */
export async function act(deed: Deed): Promise<string | undefined> {
  try {
    const answer = await fetch("/page/act", {
      method: "POST",
      headers: { "content-type": "application/json", "x-primrack-page": "1" },
      body: JSON.stringify(deed),
    });
    if (answer.ok) return undefined;
    const why = (await answer.json().catch(() => ({}))) as { error?: string };
    return why.error ?? `The bridge refused (${answer.status}).`;
  } catch {
    return "The bridge does not answer.";
  }
}
