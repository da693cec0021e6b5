/* inline: deadline; process: deadline */
export default () => { for (;;) crypto.randomUUID() }
