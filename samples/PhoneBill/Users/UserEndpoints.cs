using Microsoft.EntityFrameworkCore;
using PhoneBill.Contracts;

namespace PhoneBill.Users;

public static class UserEndpoints
{
    private const int PageSize = 20;

    public static void MapUsers(this WebApplication app)
    {
        var api = app.MapGroup("/api/users").RequireAuthorization();

        api.MapGet(
            "/",
            async (int? page, HttpContext http, CachedReads reads, CancellationToken cancellationToken) =>
            {
                var number = page ?? 1;
                if (number is < 1 or > 1000)
                    return (IResult)Inputs.Problem("There is no such page", $"page is {number}. Write a number from 1 to 1000.");
                return http.Answer(
                    await reads.ReadAsync(Keys.UserList($"page-{number}"), (db, ct) => PageAsync(db, number, ct), cancellationToken),
                    "There is no such page."
                );
            }
        );

        api.MapGet(
            "/{id}",
            async (string id, HttpContext http, CachedReads reads, CancellationToken cancellationToken) =>
                http.Answer(await reads.UserAsync(id, cancellationToken), $"There is no user '{id}'.")
        );

        var writing = api.MapGroup("/").RequirePermission("user.write");

        writing.MapPost(
            "/",
            (NewUser user, UserChanges changes, CancellationToken cancellationToken) => changes.CreateAsync(user, cancellationToken)
        );
        writing.MapPut(
            "/{id}",
            (string id, UserEdit edit, UserChanges changes, CancellationToken cancellationToken) =>
                changes.UpdateAsync(id, edit, cancellationToken)
        );
        writing.MapDelete(
            "/{id}",
            (string id, UserChanges changes, CancellationToken cancellationToken) => changes.DeleteAsync(id, cancellationToken)
        );
    }

    private static async Task<UserList?> PageAsync(PhoneBillDb db, int page, CancellationToken cancellationToken)
    {
        var rows = await db.Users.OrderBy(row => row.Id).Skip((page - 1) * PageSize).Take(PageSize).ToListAsync(cancellationToken);
        return new UserList(page, await db.Users.CountAsync(cancellationToken), rows.ConvertAll(row => row.ToUser()));
    }
}
