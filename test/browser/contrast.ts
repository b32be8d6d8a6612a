/** Runs inside the page: which text cannot be read well on what lies behind it. */

/** Each visible text whose contrast is below `least` (WCAG 1.4.3), with its colours. Self-contained, since it is sent to the browser. */
export function hardToRead(least: number): readonly string[] {
  type Colour = readonly [red: number, green: number, blue: number, alpha: number]
  const read = (text: string): Colour => {
    const [red = 0, green = 0, blue = 0, alpha = 1] = (text.match(/[\d.]+/g) ?? []).map(Number)
    return [red, green, blue, alpha]
  }
  const over = (top: Colour, under: Colour): Colour => [0, 1, 2].map((at) => (top[at] ?? 0) * top[3] + (under[at] ?? 0) * (1 - top[3])).concat(1) as unknown as Colour // three channels and the alpha
  const luminance = ([red, green, blue]: Colour) => {
    const linear = (value: number) => (value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4)
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
  }
  const lineage = (element: Element | null): Element[] => (element === null ? [] : [...lineage(element.parentElement), element])

  const found: string[] = []
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement
    const text = texts.currentNode.nodeValue?.trim() ?? ''
    if (element === null || text === '' || !element.checkVisibility({ visibilityProperty: true }) || element.closest('script, style, .visually-hidden, .skip, [disabled]')) continue
    let ground: Colour = [255, 255, 255, 1]
    let opacity = 1
    for (const above of lineage(element)) {
      ground = over(read(getComputedStyle(above).backgroundColor), ground)
      opacity *= Number(getComputedStyle(above).opacity)
    }
    const ink = read(getComputedStyle(element).color)
    const shown = over([ink[0], ink[1], ink[2], ink[3] * opacity], ground)
    const [light = 0, dark = 0] = [luminance(shown), luminance(ground)].toSorted((one, other) => other - one)
    const contrast = (light + 0.05) / (dark + 0.05)
    if (contrast < least) found.push(`"${text.slice(0, 40)}" (${element.className || element.tagName}): ${contrast.toFixed(2)}`)
  }
  return found
}
