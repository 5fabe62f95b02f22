// Finds and calls the methods of the Node SDK by introspection, so that none can be forgotten.

import { APIResource } from '@trycourier/courier/core/resource';

// Node's name -> the resource and the method. A resource keeps the resources below it as properties of its own.
export function findMethods(client) {
  const found = new Map();
  const walk = (resource, path) => {
    for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(resource))) {
      if (name === 'constructor' || name.startsWith('_') || typeof resource[name] !== 'function') continue;
      found.set([...path, name].join('.'), { resource, method: resource[name] });
    }
    below(resource, path);
  };
  const below = (holder, path) => {
    for (const [name, value] of Object.entries(holder)) {
      if (value instanceof APIResource) walk(value, [...path, name]);
    }
  };
  below(client, []);
  return found;
}

// Scenarios use Python's names: `lists.subscriptions.unsubscribe_user` is `lists.subscriptions.unsubscribeUser` here.
export function nodeName(name) {
  return name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
}

// Methods take the last id of the path, the other arguments in one object (where they have any), and the options.
export function invoke({ resource, method }, call) {
  const parameters = parametersOf(method);
  const positional = parameters.slice(0, parameters.indexOf('options'));
  const values = [];
  if (call.id !== null) values.push(call.id);
  if (values.length < positional.length) values.push(call.args);
  else if (Object.keys(call.args).length > 0) throw new Error(`${call.method} takes no arguments beside its id`);
  return method.call(resource, ...values, { headers: call.headers });
}

function parametersOf(method) {
  const [, list] = method.toString().match(/^\w+\(([^)]*)\)/);
  return list.split(',').map((parameter) => parameter.trim().split(' ')[0]);
}
