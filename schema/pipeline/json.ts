/** What a pipeline file says, before anybody asks what it means. */

/** A value of a pipeline file; mappings keep the order in which they were written. */
export type Json = null | boolean | number | string | readonly Json[] | JsonMap
export type JsonMap = { readonly [name: string]: Json }

/** To a value within another: names of mappings, indexes of lists. */
export type Path = readonly (string | number)[]

export function isMap(value: Json | undefined): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `Array.isArray` does not narrow readonly arrays. */
export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}
