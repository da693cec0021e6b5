-- inline: error deadline; process: error
return function(self)
  return json.decode(('['):rep(100000))
end
