/* SPDX-License-Identifier: MIT */
/* The handlers of nginx-njs.conf. */
function ping(r) {
    r.headersOut['Content-Type'] = 'application/json';
    r.return(200, JSON.stringify({message: 'pong'}));
}

function echo(r) {
    const value = JSON.parse(r.requestText);
    value.count += 1;
    r.headersOut['Content-Type'] = 'application/json';
    r.return(200, JSON.stringify(value));
}

export default {ping, echo};
