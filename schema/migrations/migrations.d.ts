declare const migrations: {
  readonly journal: { readonly entries: readonly { readonly idx: number; readonly when: number; readonly tag: string; readonly breakpoints: boolean }[] }
  readonly migrations: Readonly<Record<string, string>>
}
export default migrations
