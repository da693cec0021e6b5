/* inline: deadline memory error; process: deadline memory error */
export default () => { let a = 3n; for (;;) a *= a }
