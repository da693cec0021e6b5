/* inline: deadline; process: deadline memory */
export default () => { for (;;) { try { throw 1 } catch (e) {} } }
