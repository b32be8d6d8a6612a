/** The shape of a matrix: its dimensions, and the combinations in which it differs. Whether those fit is for `../matrix.ts`. */
import { isList, isMap, type Json } from '../json.ts'
import type { Matrix, MatrixAdjustment, MatrixValue } from '../steps.ts'
import { skip, softFail } from './common.ts'
import { Attributes, shown, type Place, type Reader } from './reading.ts'
import { listOf, text } from './values.ts'

export const matrix: Reader<Matrix> = (value, place) => {
  if (isList(value)) return { setup: { '': values(value, place) ?? [] }, adjustments: [] }
  if (!isMap(value)) return place.wrong(`this is a list of values, or a mapping with "setup", not ${shown(value)}.`)
  const attributes = new Attributes(value, place)
  const dimensions = attributes.read('setup', setup, null)
  const adjustments = attributes.read('adjustments', listOf(adjustment, 'adjustments'), [])
  attributes.refuseRest('"matrix"', attributes.has('setup') ? {} : { elsewhere: Object.fromEntries(Object.keys(value).map((name) => [name, 'dimensions are written below "setup"'])) })
  if (dimensions !== null) return { setup: dimensions, adjustments }
  return attributes.has('setup') ? undefined : place.wrong('this matrix has no values: give it "setup" with a list for each dimension.')
}

const setup: Reader<Matrix['setup']> = (value, place) => {
  if (isList(value)) return { '': values(value, place) ?? [] }
  if (!isMap(value)) return place.wrong(`this is a list of values, or a mapping of dimensions to those, not ${shown(value)}.`)
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, one === null ? nothing(place.at(name)) : (values(one, place.at(name)) ?? [])]))
}

function nothing(place: Place): readonly MatrixValue[] {
  place.wrong('this dimension has no values; write a list of them.')
  return []
}

const scalar: Reader<MatrixValue> = (value, place) => {
  if (isList(value) || isMap(value)) return place.wrong(`a value of a matrix is text, a number or a truth, not ${shown(value)}.`)
  return typeof value === 'string' ? text(value, place) : (value as MatrixValue) // narrowing of readonly lists stops short
}
const values = listOf(scalar, 'values')

const adjustment: Reader<MatrixAdjustment> = (value, place) => {
  const attributes = Attributes.of(value, place, 'an adjustment')
  if (attributes === undefined) return undefined
  const combination = attributes.read('with', combined, null)
  const found = { skip: skip(attributes), softFail: softFail(attributes) }
  attributes.refuseRest('an adjustment')
  if (combination !== null) return { with: combination, ...found }
  return attributes.has('with') ? undefined : place.wrong('this adjustment does not say of which combination: give "with" a value for each dimension.')
}

/** One value (or a list of one) for a matrix without names of dimensions. */
const combined: Reader<MatrixAdjustment['with']> = (value, place) => {
  if (isMap(value)) return Object.fromEntries(Object.entries(value).flatMap(([name, one]) => namedValue(name, one, place)))
  const [first, ...more] = isList(value) ? (values(value, place) ?? []) : [scalar(value, place)]
  if (more.length > 0) return place.wrong('this matrix has one dimension, so an adjustment is of one value; write one for each.')
  return first === undefined ? undefined : { '': first }
}

function namedValue(name: string, value: Json, place: Place): readonly (readonly [string, MatrixValue])[] {
  const found = value === null ? place.at(name).wrong('the value of this dimension is missing.') : scalar(value, place.at(name))
  return found === undefined ? [] : [[name, found]]
}
