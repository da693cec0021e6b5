-- inline: error deadline; process: error
return function(self)
  local t = {} t.t = t return json.encode(t)
end
