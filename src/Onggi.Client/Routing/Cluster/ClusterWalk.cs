namespace Onggi.Client.Routing.Cluster;

/// <summary>A walk over all slots, one owner after another. Slots that have changed hands meanwhile are walked again, with whoever has them then.</summary>
/// <param name="routes">The routes of the moment.</param>
internal sealed class ClusterWalk(Func<Routes> routes) : KeyWalk
{
    private readonly bool[] _done = new bool[HashSlot.Count];
    private Routes _atStart = routes();
    private ClusterNode? _owner;
    private int _slot;

    public override int Slot => _slot;

    public override bool StillThere => routes().PrimaryOf(_slot) == _owner;

    public override bool Next()
    {
        _slot = Array.IndexOf(_done, false);
        if (_slot < 0)
            return false;
        _atStart = routes();
        _owner = _atStart.PrimaryOf(_slot);
        return true;
    }

    public override void Done()
    {
        // Only what it had all the time: what came or went in between may not have been seen.
        var now = routes();
        for (var slot = 0; slot < _done.Length; slot++)
            if (_atStart.PrimaryOf(slot) == _owner && now.PrimaryOf(slot) == _owner)
                _done[slot] = true;
    }
}
