/* inline: deadline memory error; process: deadline memory error */
export default () => { let s = 'x'; for (;;) { s += s; s.charCodeAt(7) } }
