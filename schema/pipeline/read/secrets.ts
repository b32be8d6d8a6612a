/** Secrets by name: a list of names, or of variables to names; canonically a list of both. */
import { isList, isMap } from '../json.ts'
import { Attributes, shown, shownName, type Place, type Reader } from './reading.ts'
import { checkVariable, someText } from './values.ts'

type Secrets = Readonly<Record<string, string>>

export const secrets: Reader<Secrets> = (value, place) => {
  const found = new Map<string, string>()
  const add = (variable: string, name: string, at: Place) => {
    if (!isVariable(variable, at) || !isName(name, at)) return
    if (found.has(variable)) at.wrong(`two secrets would be in the variable "${shownName(variable)}"; take one of them away.`)
    found.set(variable, name)
  }
  if (isList(value)) {
    for (const [index, item] of value.entries()) {
      const at = place.at(index)
      const [variable, name] = item === null ? [] : (listItem(item, at) ?? [])
      if (item === null) at.wrong('this item of the list is empty; take it away.')
      if (variable !== undefined && name !== undefined) add(variable, name, at)
    }
    return Object.fromEntries(found)
  }
  if (!isMap(value)) return place.wrong(`this is a list of names, or a mapping of variables to names, not ${shown(value)}.`)
  for (const [variable, item] of Object.entries(value)) {
    const at = place.at(variable)
    const name = item === null ? at.wrong('the name of the secret is missing.') : someText(item, at)
    if (name !== undefined) add(variable, name, at)
  }
  return Object.fromEntries(found)
}

const listItem: Reader<readonly [variable: string, name: string]> = (value, place) => {
  if (!isMap(value)) {
    const name = isList(value) ? place.wrong('this is the name of a secret, not a list.') : someText(value, place)
    return name === undefined ? undefined : [name, name]
  }
  const attributes = new Attributes(value, place)
  const name = attributes.read('key', someText, null)
  const variable = attributes.read('environment_variable', someText, name)
  attributes.refuseRest('a secret')
  if (name === null || variable === null) return attributes.has('key') ? undefined : place.wrong('this does not say which secret: give "key" its name.')
  return [variable, name]
}

function isName(name: string, place: Place): boolean {
  if (/^(?!buildkite|bk|kedge)[a-z]\w{0,254}$/i.test(name)) return true
  place.wrong(`"${shownName(name)}" cannot be the name of a secret: letters, digits and "_", the first a letter, and not beginning with BUILDKITE, BK or KEDGE.`)
  return false
}

/** What the agent itself sets may not be set by a secret. */
function isVariable(name: string, place: Place): boolean {
  if (!checkVariable(name, place)) return false
  if (!/^(?:buildkite|bk|kedge)/i.test(name) || name === 'BUILDKITE_API_TOKEN' || name === 'BUILDKITE_ANALYTICS_TOKEN') return true
  place.wrong(`a secret cannot be in the variable "${shownName(name)}": those that begin with BUILDKITE, BK or KEDGE are set by the agent.`)
  return false
}
