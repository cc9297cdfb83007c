using Microsoft.EntityFrameworkCore;
using Onggi.Events;
using PhoneBill.Contracts;

namespace PhoneBill.Auth;

/// <summary>Grants and takes away, and tells everybody: no service goes on with the old list.</summary>
public sealed class PermissionChanges(IDbContextFactory<PhoneBillDb> databases, OnggiEvents events)
{
    private static readonly string[] Known = ["bill.read", "product.change", "user.write", "permission.write"];

    public async Task<IResult> SetAsync(string userId, string permission, bool granted, CancellationToken cancellationToken)
    {
        if (!Known.Contains(permission))
            return Inputs.Problem("This is not a permission", $"'{permission}' is unknown. Write one of: {string.Join(", ", Known)}.");

        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        if (!await db.Users.AnyAsync(user => user.Id == userId, cancellationToken))
            return Inputs.NotFound($"There is no user '{userId}'.");

        var has = await db.Permissions.FindAsync([userId, permission], cancellationToken);
        if (granted && has is null)
            db.Permissions.Add(new PermissionRow { UserId = userId, Name = permission });
        if (!granted && has is not null)
            db.Permissions.Remove(has);

        // From here on the caller's impatience no longer counts: what is changed, the caches must hear of. Cancelled, saving could end with an exception though the change is made.
        await db.SaveChangesAsync(CancellationToken.None);
        await events.PublishAsync(
            EventTypes.PermissionChanged,
            new PermissionChanged(userId),
            new Dictionary<string, string> { ["user_id"] = userId },
            CancellationToken.None
        );
        return TypedResults.NoContent();
    }
}
