-- Follows the head where the server must be the one that began the epoch: one that was
-- restarted or promoted since may lack what was spent.
if not master or string.sub(known[2], -#replid) ~= replid then return {'epoch'} end
