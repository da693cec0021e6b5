-- inline: error deadline; process: error
return function(self)
  return {unpack({}, 1, 1e7)}
end
