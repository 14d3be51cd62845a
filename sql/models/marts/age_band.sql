with final as (
    select
        age_band,
        min_age,
        max_age
    from staging.seed_age_band
)

select * from final
