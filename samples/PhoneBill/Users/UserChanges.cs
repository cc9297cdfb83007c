using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using Onggi.Events;
using PhoneBill.Contracts;

namespace PhoneBill.Users;

public sealed record NewUser(string Id, string Name, string Email, string Role, string Password);

public sealed record UserEdit(string Name, string Email, string Role);

/// <summary>Writes to the database first, then publishes: every cached copy is gone before the caller has the answer.</summary>
/// <remarks>
/// When publishing failed, the caller repeats the request. So an addition that is there already, and a removal of what is gone, publish too:
/// they may be such a repetition, and once more does no harm.
/// </remarks>
public sealed partial class UserChanges(IDbContextFactory<PhoneBillDb> databases, OnggiEvents events)
{
    public async Task<IResult> CreateAsync(NewUser user, CancellationToken cancellationToken)
    {
        if (!IdPattern().IsMatch(user.Id))
            return Inputs.Problem("This is not a user id", $"'{user.Id}' must be 3 to 40 lower-case letters, digits, dots and dashes.");
        if (user.Password.Length < 10)
            return Inputs.Problem("The password is too short", $"It has {user.Password.Length} characters. Write at least 10.");
        if (Wrong(user.Name, user.Email) is { } problem)
            return problem;

        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        if (await db.Users.AnyAsync(row => row.Id == user.Id, cancellationToken))
            return await TakenAsync(user.Id);

        var row = new UserRow
        {
            Id = user.Id,
            Name = user.Name,
            Email = user.Email,
            Role = user.Role,
            PasswordHash = Passwords.Hash(user.Password),
        };
        db.Users.Add(row);
        try
        {
            await db.SaveChangesAsync(CancellationToken.None);
        }
        catch (DbUpdateException)
        {
            // Somebody else took the id since we looked.
            if (!await db.Users.AnyAsync(other => other.Id == user.Id, CancellationToken.None))
                throw;
            return await TakenAsync(user.Id);
        }

        await TellAsync(EventTypes.UserCreated, user.Id);
        return TypedResults.Created($"/api/users/{user.Id}", row.ToUser());
    }

    public async Task<IResult> UpdateAsync(string id, UserEdit edit, CancellationToken cancellationToken)
    {
        if (Wrong(edit.Name, edit.Email) is { } problem)
            return problem;

        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        if (await db.Users.FindAsync([id], cancellationToken) is not { } row)
            return Inputs.NotFound($"There is no user '{id}'.");

        (row.Name, row.Email, row.Role) = (edit.Name, edit.Email, edit.Role);
        await db.SaveChangesAsync(CancellationToken.None);
        await TellAsync(EventTypes.UserUpdated, id);
        return TypedResults.Ok(row.ToUser());
    }

    public async Task<IResult> DeleteAsync(string id, CancellationToken cancellationToken)
    {
        if (!IdPattern().IsMatch(id))
            return Inputs.NotFound($"There is no user '{id}'.");

        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        await db.Permissions.Where(row => row.UserId == id).ExecuteDeleteAsync(cancellationToken);
        var deleted = await db.Users.Where(row => row.Id == id).ExecuteDeleteAsync(cancellationToken);
        await transaction.CommitAsync(CancellationToken.None);

        await TellAsync(EventTypes.UserDeleted, id);
        return deleted == 0 ? Inputs.NotFound($"There is no user '{id}'.") : TypedResults.NoContent();
    }

    private async ValueTask<ProblemHttpResult> TakenAsync(string id)
    {
        await TellAsync(EventTypes.UserCreated, id);
        return TypedResults.Problem($"There is a user '{id}' already.", title: "Taken", statusCode: StatusCodes.Status409Conflict);
    }

    /// <summary>The caller's impatience no longer counts: the change is made, so the caches must hear of it. Nor does it while it is saved, for that could end with an exception though it is made.</summary>
    private ValueTask<EventReceipt> TellAsync(EventType<UserChanged> type, string id) =>
        events.PublishAsync(type, new UserChanged(id), new Dictionary<string, string> { ["user_id"] = id }, CancellationToken.None);

    private static ProblemHttpResult? Wrong(string name, string email) =>
        string.IsNullOrWhiteSpace(name) ? Inputs.Problem("The name is missing", "Write the user's name.")
        : email.Contains('@') ? null
        : Inputs.Problem("This is not an e-mail address", $"'{email}' has no @.");

    [GeneratedRegex(@"\A[a-z0-9.-]{3,40}\z", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 100)]
    private static partial Regex IdPattern();
}
