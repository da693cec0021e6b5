/* inline: deadline; process: deadline */
export default () => { throw Object.defineProperty(new Error, 'message', { get() { for (;;); } }) }
