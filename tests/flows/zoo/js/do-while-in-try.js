/* inline: deadline; process: deadline */
export default () => { do { try { for (;;); } catch (e) {} finally { for (;;); } } while (1) }
