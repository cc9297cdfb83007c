using Onggi.Client.Routing.Cluster;

namespace Onggi.Client.Routing;

/// <summary>Who must be asked, one after another, to see all keys: here one server, once.</summary>
internal class KeyWalk
{
    private bool _begun;

    /// <summary>The slot whose owner is to be asked.</summary>
    public virtual int Slot => KeySlots.None;

    /// <summary>Whether whoever was chosen is still the one that is asked: a cursor means nothing to anybody else.</summary>
    public virtual bool StillThere => true;

    /// <summary>Goes to whoever is to be asked next; <c>false</c> when all have been.</summary>
    public virtual bool Next()
    {
        var first = !_begun;
        _begun = true;
        return first;
    }

    /// <summary>Whoever was chosen has told all.</summary>
    public virtual void Done() { }
}
