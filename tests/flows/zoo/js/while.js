/* inline: deadline; process: deadline */
export default () => { while (true) {} }
