/* inline: deadline memory error; process: deadline memory error */
export default () => [...{ *[Symbol.iterator]() { for (;;) yield 1 } }]
