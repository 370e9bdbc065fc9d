// One stream from the bridge. A browser reconnects by itself; a silence that it does not notice is noticed here.

import type { Change, Welcome } from "./wire.ts";

export type Link = "connecting" | "live" | "lost";

/** The bridge says something every 10 s; after this long it is gone, whatever the socket believes. */
const SILENCE = 25_000;

export interface Listener {
  welcome(view: Welcome): void;
  change(change: Change): void;
  link(link: Link): void;
}

export class Stream {
  #source: EventSource | undefined;
  #avatar = "";
  #heard = 0;

  constructor(private readonly listener: Listener) {
    setInterval(() => {
      if (this.#source && this.#heard > 0 && performance.now() - this.#heard > SILENCE) this.open(this.#avatar);
    }, 5_000);
  }

  /** Opens it, or opens it again as another avatar, who then hears what is whispered to it. */
  open(avatar: string): void {
    this.#source?.close();
    this.#avatar = avatar;
    this.#heard = performance.now();
    const source = new EventSource(avatar ? `/page/stream?as=${encodeURIComponent(avatar)}` : "/page/stream");
    this.#source = source;
    const hear = (): void => {
      this.#heard = performance.now();
      this.listener.link("live");
    };
    source.onerror = () => {
      this.listener.link("lost");
      // A refusal (503) ends an EventSource for good; the interval above tries again.
    };
    source.addEventListener("snapshot", (message: MessageEvent<string>) => {
      hear();
      this.listener.welcome(JSON.parse(message.data) as Welcome);
    });
    source.addEventListener("change", (message: MessageEvent<string>) => {
      hear();
      this.listener.change(JSON.parse(message.data) as Change);
    });
  }
}
