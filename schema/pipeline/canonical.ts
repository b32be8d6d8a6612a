/** A value of a pipeline file; mappings keep the order in which they were written. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }
