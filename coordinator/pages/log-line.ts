/** One line of a log as HTML, the same from the server (`log.tsx`) and from the browser (`build.island.ts`), which go on from each other. */

/** `html` is from `ansi.ts`; without a number (its place is not known) it has no anchor. The last line is `open` while it has no newline. */
export function lineHtml(html: string, number: number | null, { open = false }: { readonly open?: boolean } = {}): string {
  const name = open ? ' class="open"' : ''
  // The number is drawn from its attribute, so that it is never copied with the text.
  return number === null ? `<div${name}>${html}</div>` : `<div${name} id="L${number}"><a href="#L${number}" tabindex="-1" data-n="${number}" aria-label="Line ${number}"></a>${html}</div>`
}
