with person as (
    select * from staging.stg_omop__person
),

death as (
    select * from staging.stg_omop__death
),

place as (
    select * from staging.stg_omop__location
),

concept as (
    select * from staging.stg_vocabulary__concept
),

observed as (
    select
        person_id,
        min(observation_period_start_date) as first_observed_date,
        max(observation_period_end_date) as last_observed_date
    from staging.stg_omop__observation_period
    group by person_id
),

dated as (
    select
        person.*,
        death.death_date,
        observed.first_observed_date,
        observed.last_observed_date,
        coalesce(death.death_date, max(observed.last_observed_date) over ()) as age_date
    from person
    left join death on person.person_id = death.person_id
    left join observed on person.person_id = observed.person_id
),

final as (
    select
        dated.person_id,
        lower(coalesce(gender.concept_name, dated.gender_source_value, 'unknown')) as sex,
        dated.birth_date,
        coalesce(race.concept_name, dated.race_source_value, 'unknown') as race,
        coalesce(ethnicity.concept_name, dated.ethnicity_source_value, 'unknown') as ethnicity,
        place.state,
        place.zip3,
        dated.death_date,
        dated.death_date is not null as is_deceased,
        dated.first_observed_date,
        dated.last_observed_date,
        dated.age_date,
        cast(
            extract(year from dated.age_date) - extract(year from dated.birth_date)
            - case
                when extract(month from dated.age_date) * 100 + extract(day from dated.age_date)
                    < extract(month from dated.birth_date) * 100 + extract(day from dated.birth_date)
                    then 1
                else 0
            end as integer
        ) as age,
        dated.source_id
    from dated
    left join place on dated.location_id = place.location_id
    left join concept as gender
        on dated.gender_concept_id = gender.concept_id and dated.gender_concept_id <> 0
    left join concept as race
        on dated.race_concept_id = race.concept_id and dated.race_concept_id <> 0
    left join concept as ethnicity
        on dated.ethnicity_concept_id = ethnicity.concept_id and dated.ethnicity_concept_id <> 0
)

select * from final
