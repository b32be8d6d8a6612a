/** Files that bundlers hand over as their text: migrations, and the pages' compiled islands (`build.ts`). */
declare module '*.txt' {
  const text: string
  export default text
}

declare module '*.sql' {
  const text: string
  export default text
}
