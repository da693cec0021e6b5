/* inline: error deadline; process: error */
export default () => (function* () {}).constructor('for (;;);')().next()
