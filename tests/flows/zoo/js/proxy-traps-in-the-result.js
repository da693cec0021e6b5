/* inline: deadline; process: deadline */
export default () => new Proxy({}, { ownKeys() { for (;;); } })
