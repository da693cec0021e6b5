/* inline: deadline value; process: deadline value */
export default () => ({ [Symbol.iterator]() { for (;;); }, a: 1 })
