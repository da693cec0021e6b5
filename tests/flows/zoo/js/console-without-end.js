/* inline: deadline; process: deadline */
export default () => { for (;;) console.log('x') }
