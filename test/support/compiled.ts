/** Where Node keeps what it has compiled of the programs that tests start: hundreds of them compile what none has compiled before. */
export const COMPILED = new URL('../../node_modules/.cache/compiled', import.meta.url).pathname
