-- inline: error deadline; process: error
return function(self)
  return {a = coroutine.create(print)}
end
