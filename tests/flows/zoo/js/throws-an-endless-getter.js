/* inline: deadline; process: deadline */
export default () => { throw { get message() { for (;;); } }; }
