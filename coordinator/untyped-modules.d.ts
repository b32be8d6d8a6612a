/** Modules that say nothing of their types. First the files that bundlers hand over as their text: migrations, and the pages' compiled islands (`build.ts`). */
declare module '*.txt' {
  const text: string
  export default text
}

declare module '*.sql' {
  const text: string
  export default text
}

/** The names of emoji that GitHub knows, with their characters. */
declare module 'markdown-it-emoji/lib/data/full.mjs' {
  const characters: Readonly<Record<string, string>>
  export default characters
}
