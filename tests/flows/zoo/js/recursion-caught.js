/* inline: deadline; process: deadline */
export default () => { function f() { try { f() } finally { f() } } f() }
